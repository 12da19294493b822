use std::time::Duration;

use test_support::{Folder, Port, Process};

use crate::stack::run;

fn own_ports(ports: &[Port]) -> Vec<(String, String)> {
    let names = [
        "USER_API__HTTP__ADDRESS",
        "USER_API__OPERATIONS__ADDRESS",
        "NOTIFICATION_GATEWAY__HTTP__ADDRESS",
        "NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS",
        "EMAIL_WORKER__OPERATIONS__ADDRESS",
        "PROVIDER_SANDBOX__HTTP__ADDRESS",
        "MAIL__PAGE_ADDRESS",
    ];
    names
        .iter()
        .zip(ports)
        .map(|(name, port)| (format!("WAYPOST__{name}"), format!("127.0.0.1:{}", port.number())))
        .collect()
}

fn waypost(command: &str, environment: &[(String, String)], folder: &Folder) -> Process {
    run("waypost", environment).arg(command).folder(folder.path()).spawn()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_every_effect_and_the_trace_and_stops_what_it_started() {
    let (folder, ports) = (Folder::create(), (0..7).map(|_| Port::reserve()).collect::<Vec<_>>());
    let mut demo = waypost("demo", &own_ports(&ports), &folder);
    let status = demo.exit(Duration::from_mins(1)).await;
    let shown = demo.output();
    assert!(status.success(), "{shown}");
    for part in [
        "is signed up",
        "live stream",
        "the mail",
        "SMS provider",
        "POST /v1/users [server]",
        "email-worker",
        "notification-gateway",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_uses_a_waypost_that_runs() {
    let (folder, ports) = (Folder::create(), (0..7).map(|_| Port::reserve()).collect::<Vec<_>>());
    let running = waypost("run", &own_ports(&ports), &folder);
    running.writes("Waypost is up", Duration::from_mins(1)).await;
    let mut demo = waypost("demo", &own_ports(&ports), &folder);
    let status = demo.exit(Duration::from_mins(1)).await;
    assert!(status.success(), "{}", demo.output());
    assert!(demo.output().contains("runs already"), "{}", demo.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_gives_a_message_that_names_the_setting() {
    let (folder, ports) = (Folder::create(), (0..7).map(|_| Port::reserve()).collect::<Vec<_>>());
    let _taken = std::net::TcpListener::bind(("127.0.0.1", ports[0].number())).unwrap();
    let mut process = waypost("run", &own_ports(&ports), &folder);
    let status = process.exit(Duration::from_secs(30)).await;
    assert!(!status.success());
    assert!(
        process.output().contains("WAYPOST__USER_API__HTTP__ADDRESS"),
        "{}",
        process.output()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_error_in_a_setting_stops_the_start_and_is_named() {
    let folder = Folder::create();
    let environment = [("WAYPOST__HTTP__ADRESS".to_owned(), "x".to_owned())];
    let mut process = run("user-api", &environment).folder(folder.path()).spawn();
    assert_eq!(process.exit(Duration::from_secs(10)).await.code(), Some(2));
    assert!(process.output().contains("http.adress"), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_tables_says_what_to_run() {
    let folder = Folder::create();
    let environment = [
        ("WAYPOST__PROFILE", "test"),
        ("WAYPOST__HTTP__ADDRESS", "127.0.0.1:0"),
        ("WAYPOST__OPERATIONS__ADDRESS", "127.0.0.1:0"),
        ("WAYPOST__BROKER__URL", "amqp://127.0.0.1:1/%2f"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut process = run("user-api", &environment).folder(folder.path()).spawn();
    assert!(!process.exit(Duration::from_secs(20)).await.success());
    assert!(process.output().contains("waypost migrate"), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_broker_between_processes_is_refused() {
    let folder = Folder::create();
    let mut process = run("email-worker", &[]).folder(folder.path()).spawn();
    assert!(!process.exit(Duration::from_secs(20)).await.success());
    assert!(process.output().contains("memory"), "{}", process.output());
}
