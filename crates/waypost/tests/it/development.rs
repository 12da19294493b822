//! What is development's alone: files of the embedded program, its ports in a browser, and production that is started with such parts.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use test_support::{Port, Process, eventually, redis_url, workspace_binary};
use tokio::net::TcpStream;

use crate::client::PATIENCE;
use crate::embedded::Embedded;

/// All files and folders below this one, and itself.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            all.extend(below(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

/// Those that others than their owner can open.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let is_open = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    below(folder).into_iter().filter(is_open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_their_owner_s_alone_whatever_the_umask_and_open_ones_are_closed() {
    let embedded = Embedded::prepare();
    let program = workspace_binary("waypost");
    let start = || {
        Process::run("sh")
            .arg("-c")
            .arg(format!("umask 0; exec {} run", program.display()))
            .envs(embedded.environment())
            .folder(embedded.folder.path())
            .spawn()
    };
    let mut process = start();
    process.writes("Waypost is up", PATIENCE).await;
    assert_eq!(embedded.client().sign_up("ada@example.com").await.unwrap().0, 201);
    eventually(PATIENCE, || async { embedded.mails().len() == 1 }).await;
    let data = embedded.folder.join(".waypost");
    let found = below(&data);
    for end in [
        "waypost-user-api.db",
        "waypost-user-api.db-wal",
        "waypost-user-api.db-shm",
    ] {
        assert!(found.iter().any(|path| path.ends_with(end)), "{found:?}");
    }
    assert_eq!(open_to_others(&data), Vec::<PathBuf>::new());
    process.terminate();
    assert!(process.exit(PATIENCE).await.success());

    // As an older version left them.
    for path in below(&data) {
        let mode = if path.is_file() { 0o644 } else { 0o755 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut process = start();
    process.writes("closed to them", PATIENCE).await;
    process.writes("Waypost is up", PATIENCE).await;
    assert_eq!(open_to_others(&data), Vec::<PathBuf>::new());
    process.terminate();
    assert!(process.exit(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn production_has_parts_of_development_only_where_they_are_allowed() {
    let embedded = Embedded::prepare();
    let production = || embedded.program().env("WAYPOST__PROFILE", "production");
    let mut refused = production().spawn();
    assert_eq!(refused.exit(PATIENCE).await.code(), Some(1));
    let output = refused.output();
    assert!(output.contains("process.allow_development_parts"), "{output}");
    let parts = [
        "store.url",
        "mail.url",
        "providers.sms.url",
        "providers.sms.account",
        "providers.sms.token",
    ];
    for key in parts {
        assert!(output.contains(&format!("`{key}`: ")), "{key}: {output}");
    }

    let staging = production().env("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true");
    let mut staging = staging.spawn();
    staging.writes("Waypost is up", PATIENCE).await;
    let output = staging.output();
    for key in parts {
        assert!(
            output.contains("part of development") && output.contains(key),
            "{key}: {output}"
        );
    }
    assert!(TcpStream::connect(embedded.at(5)).await.is_ok(), "the sandbox");
    staging.terminate();
    assert!(staging.exit(PATIENCE).await.success());

    let mut real = production()
        .env("WAYPOST__STORE__URL", redis_url())
        .env("WAYPOST__STORE__PREFIX", embedded.folder.path().display().to_string())
        .env("WAYPOST__MAIL__URL", "smtp://127.0.0.1:9")
        .env("WAYPOST__PROVIDERS__SMS__URL", "http://127.0.0.1:9")
        .env("WAYPOST__PROVIDERS__SMS__ACCOUNT", "AC1")
        .env("WAYPOST__PROVIDERS__SMS__TOKEN", "a real one")
        .spawn();
    real.writes("Waypost is up", PATIENCE).await;
    assert!(!real.output().contains("part of development"), "{}", real.output());
    assert!(
        TcpStream::connect(embedded.at(5)).await.is_err(),
        "production has no sandbox"
    );
    real.terminate();
    assert!(real.exit(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_development_alone_the_one_process_asks_its_own_sandbox_for_breached_passwords() {
    let breached = json!({"password": "Waypost-breached-1!"});
    for (profile, status) in [("development", 422), ("test", 201)] {
        let page = Port::reserve();
        let mut embedded = Embedded::prepare();
        embedded.settings = [
            ("WAYPOST__PROFILE", profile.to_owned()),
            ("WAYPOST__MAIL__PAGE_ADDRESS", format!("127.0.0.1:{}", page.number())),
            ("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__TIMEOUT_MS", "5000".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec();
        let mut process = embedded.start().await;
        let answer = embedded.client();
        let answer = answer.sign_up_with("ada@example.com", breached.clone(), None).await;
        let (answered, body) = answer.unwrap();
        assert_eq!(answered, status, "{profile}: {body}");
        if status == 422 {
            assert_eq!(body["errors"][0]["code"], "breached");
        }
        process.terminate();
        assert!(process.exit(PATIENCE).await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_s_page_reaches_no_port_of_development_by_a_name_of_its_own() {
    let page = Port::reserve();
    let mut embedded = Embedded::prepare();
    let page = format!("127.0.0.1:{}", page.number());
    embedded.settings = [
        ("WAYPOST__PROFILE", "development"),
        ("WAYPOST__MAIL__PAGE_ADDRESS", &page),
        ("WAYPOST__MAIL__PAGE_HOSTS", "page.example.com"),
        ("WAYPOST__OPERATIONS__ALLOWED_HOSTS", "dev.example.com"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let mut process = embedded.start().await;
    let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let status = async |url: String, host: &str| {
        let answer = client.get(url).header("host", host).send().await.unwrap();
        answer.status().as_u16()
    };
    let operations = format!("http://{}/version", embedded.at(1));
    let page = format!("http://{page}/mails.json");
    for (url, own) in [(operations, "dev.example.com:9080"), (page, "page.example.com")] {
        for host in ["localhost:8025", "127.0.0.1", "[::1]:9080", own] {
            assert_eq!(status(url.clone(), host).await, 200, "{url} {host}");
        }
        for host in ["evil.example.com", "127.0.0.1.evil.example.com:9080"] {
            assert_eq!(status(url.clone(), host).await, 421, "{url} {host}");
        }
    }
    process.terminate();
    assert!(process.exit(PATIENCE).await.success());
}
