use crate::Sandbox;

#[tokio::test]
async fn a_request_is_recorded_with_its_headers_and_without_its_secret() {
    let sandbox = Sandbox::start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    sandbox.message().header("traceparent", parent).send().await.unwrap();
    let requests = sandbox.requests("sms").await;
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request["provider"], "sms");
    assert_eq!(request["method"], "POST");
    assert_eq!(request["path"], "/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(request["headers"]["traceparent"], parent);
    assert_eq!(request["headers"]["authorization"], "[redacted]");
    assert_eq!(
        request["body"],
        "To=%2B15551234567&From=%2B15550000&Body=Hello+%26+welcome"
    );
    assert_eq!(request["answered"], 201);
    assert!(sandbox.requests("push").await.is_empty());
}

#[tokio::test]
async fn one_account_s_requests_can_be_read_and_emptied_alone() {
    let sandbox = Sandbox::start();
    for account in ["AC1", "AC2", "AC1", "no name for a fault"] {
        sandbox.message_of(account, &[]).send().await.unwrap();
    }
    let of_one = sandbox.requests("sms.AC1").await;
    assert_eq!((of_one.len(), sandbox.requests("sms").await.len()), (2, 4));
    assert_eq!(of_one[0]["provider"], "sms");
    let url = sandbox.url("/sandbox/requests?provider=sms.AC1");
    sandbox.client.delete(url).send().await.unwrap();
    assert!(sandbox.requests("sms.AC1").await.is_empty());
    let left = sandbox.requests("sms").await;
    assert_eq!((left.len(), sandbox.requests("sms.AC2").await.len()), (2, 1));
}

#[tokio::test]
async fn the_log_can_be_emptied() {
    let sandbox = Sandbox::start();
    sandbox.message().send().await.unwrap();
    sandbox
        .client
        .delete(sandbox.url("/sandbox/requests"))
        .send()
        .await
        .unwrap();
    assert!(sandbox.requests("sms").await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let sandbox = Sandbox::start();
    let body = vec![b'x'; 64 * 1024 + 1];
    let response = sandbox
        .client
        .post(sandbox.url("/hooks/large"))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn only_the_newest_ten_thousand_are_kept() {
    let sandbox = Sandbox::start();
    for number in 0..10_003 {
        sandbox
            .client
            .post(sandbox.url(&format!("/hooks/{number}")))
            .send()
            .await
            .unwrap();
    }
    let requests = sandbox.requests("hooks").await;
    assert_eq!(requests.len(), 10_000);
    assert_eq!(requests[0]["path"], "/hooks/3");
}
