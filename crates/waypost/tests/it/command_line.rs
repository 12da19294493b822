use std::time::Duration;

use test_support::{Folder, OtlpReceiver, Port, PrivatePostgres, Process, SmtpReceiver};

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
async fn every_program_tells_what_it_is_and_how_it_is_used() {
    for name in [
        "user-api",
        "email-worker",
        "notification-gateway",
        "provider-sandbox",
        "waypost",
        "guide",
    ] {
        for (argument, said) in [
            ("--version", format!("{name} {}", env!("CARGO_PKG_VERSION"))),
            ("--help", format!("Usage: {name}")),
        ] {
            let mut program = run(name, &[]).arg(argument).spawn();
            let status = program.exit(Duration::from_secs(30)).await;
            assert!(status.success(), "{name} {argument}: {}", program.output());
            assert!(
                program.output().contains(&said),
                "{name} {argument}: {}",
                program.output()
            );
        }
    }
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
async fn config_says_where_a_value_came_from_and_hides_what_is_secret() {
    let folder = Folder::create();
    let environment = [
        ("WAYPOST__DATABASE__URL", "postgres://me:sesame@db/x"),
        ("WAYPOST__PROVIDERS__SMS__TOKEN", "sesame"),
        ("WAYPOST__USER_API__HTTP__ADDRESS", "127.0.0.1:1234"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut config = waypost("config", &environment, &folder);
    assert!(config.exit(Duration::from_secs(10)).await.success());
    let shown = config.output();
    for line in [
        "database.url = postgres://me:hidden@db/x    # from the environment",
        "providers.sms.token = <hidden>    # from the environment",
        "http.address = 127.0.0.1:1234    # from the environment",
        "http.address = 127.0.0.1:8081\n",
    ] {
        assert!(shown.contains(line), "{line} is missing in\n{shown}");
    }
    assert!(!shown.contains("sesame"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_tables_the_doctor_does_not_say_that_nothing_waits_for_kafka() {
    let (folder, nobody) = (Folder::create(), Port::reserve());
    let nobody = format!("127.0.0.1:{}", nobody.number());
    let environment = [
        ("BROKER__URL", "memory://".to_owned()),
        ("DATABASE__URL", "sqlite://doctor.db".to_owned()),
        ("EMAIL_WORKER__MAIL__URL", "file://mails".to_owned()),
        ("STORE__URL", format!("redis://{nobody}")),
        ("TELEMETRY__OTLP_ENDPOINT", format!("http://{nobody}")),
    ]
    .map(|(key, value)| (format!("WAYPOST__{key}"), value));
    let mut doctor = waypost("doctor", &environment, &folder);
    assert!(!doctor.exit(Duration::from_mins(1)).await.success());
    let found = doctor.output();
    for service in ["user-api", "email-worker", "notification-gateway"] {
        let uncounted = format!("FAIL  outlet of {service}: what waits for Kafka can't be counted");
        assert!(found.contains(&uncounted), "{uncounted} is missing in\n{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_does_not_answer_and_the_cure() {
    let (folder, smtp) = (Folder::create(), SmtpReceiver::start().await);
    let (nobody, collector) = (Port::reserve(), OtlpReceiver::start());
    let nobody = format!("127.0.0.1:{}", nobody.number());
    // A provider that can be reached, whatever it speaks.
    let provider = format!("http://{}", smtp.address());
    let environment = |broker: &str, collector: &str, ratio: &str| {
        [
            ("BROKER__URL", broker),
            ("TELEMETRY__OTLP_ENDPOINT", collector),
            ("TELEMETRY__SAMPLE_RATIO", ratio),
            ("EMAIL_WORKER__MAIL__URL", &smtp.url()),
            ("DATABASE__URL", "sqlite://doctor.db"),
            ("AUTH__JWKS_URL", &format!("http://{nobody}/jwks")),
            ("PROVIDERS__SMS__URL", &provider),
            ("PROVIDERS__BREACHED_PASSWORDS__URL", &provider),
        ]
        .map(|(key, value)| (format!("WAYPOST__{key}"), value.to_owned()))
    };
    let well = environment("memory://", &collector.endpoint(), "0");
    let mut migrate = waypost("migrate", &well, &folder);
    assert!(
        migrate.exit(Duration::from_mins(1)).await.success(),
        "{}",
        migrate.output()
    );

    let mut doctor = waypost("doctor", &well, &folder);
    // The keys' server is nobody.
    assert!(!doctor.exit(Duration::from_mins(1)).await.success());
    let found = doctor.output();
    for part in [
        "ok    database of user-api: SQLite, tables up to date",
        "ok    outlet of user-api: none is set",
        "ok    mail: the server greets",
        "ok    SMS provider: can be reached",
        "ok    breached passwords: can be reached",
        "ok    trace collector: took a test span",
        "FAIL  public keys for tokens",
        "WAYPOST__AUTH__JWKS_URL",
    ] {
        assert!(found.contains(part), "{part} is missing in\n{found}");
    }
    assert!(collector.spans().iter().any(|span| span.name == "test span"));

    let ill = environment(&format!("amqp://{nobody}/%2f"), &format!("http://{nobody}"), "0.1");
    let mut doctor = waypost("doctor", &ill, &folder);
    assert!(!doctor.exit(Duration::from_mins(1)).await.success());
    let found = doctor.output();
    for part in [
        &format!(
            "FAIL  broker of email-worker: no connection, or the queues can't be declared; no answer from {nobody}\n"
        ),
        "WAYPOST__BROKER__URL",
        "FAIL  trace collector",
    ] {
        assert!(found.contains(part), "{part} is missing in\n{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_raise_where_postgresql_is_full() {
    const MOST: usize = 12;
    let settings = [&format!("max_connections={MOST}"), "superuser_reserved_connections=0"];
    let postgres = PrivatePostgres::with(&settings).await;
    let (folder, idle) = (Folder::create(), postgres.idle_connections(MOST).await);
    let environment = [("DATABASE__URL", postgres.url().as_str()), ("BROKER__URL", "memory://")]
        .map(|(key, value)| (format!("WAYPOST__{key}"), value.to_owned()));
    let mut doctor = waypost("doctor", &environment, &folder);
    assert!(!doctor.exit(Duration::from_mins(1)).await.success());
    let found = doctor.output();
    let lines = found
        .lines()
        .skip_while(|line| !line.starts_with("FAIL  database of user-api"));
    let cure = lines
        .skip(1)
        .find(|line| line.starts_with("      "))
        .unwrap_or_default();
    assert!(cure.contains("raise its max_connections"), "{found}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_load_makes_a_life_with_a_failing_provider_and_a_dead_letter() {
    let (folder, ports) = (Folder::create(), (0..7).map(|_| Port::reserve()).collect::<Vec<_>>());
    let mut load = run("waypost", &own_ports(&ports))
        .arg("demo-load")
        .arg("--seconds=4")
        .folder(folder.path())
        .spawn();
    let status = load.exit(Duration::from_mins(1)).await;
    let shown = load.output();
    assert!(status.success(), "{shown}");
    for part in ["failed 0", "SMS answered 503", "in the dead letters of both workers"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn each_shell_can_complete_every_command() {
    let folder = Folder::create();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut printing = run("waypost", &[])
            .arg("completions")
            .arg(shell)
            .folder(folder.path())
            .spawn();
        assert!(printing.exit(Duration::from_mins(1)).await.success(), "{shell}");
        let script = printing.output();
        for command in ["demo-load", "doctor", "completions"] {
            assert!(script.contains(command), "{shell}: {script}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_would_be_passed_over_stops_the_start_and_the_doctor_alike() {
    let folder = Folder::create();
    for (variable, value, told) in [
        (
            "MAIL__URL",
            "smtp://mail.example.com?tsl=required",
            ["`mail.url`", "`tsl`"],
        ),
        ("MAIL__FROM", "nobody", ["`mail.from`", "hello@example.org"]),
        (
            "ACCOUNTS__ARGON2__ITERATIONS",
            "0",
            ["`accounts.argon2.iterations`", "at least 1"],
        ),
        (
            "PROVIDERS__SMS__URL",
            "localhost:8090",
            ["`providers.sms.url`", "http://"],
        ),
        (
            "TELEMETRY__LOG_FILTER",
            "waypost=loud",
            ["`telemetry.log_filter`", "info,sqlx=warn"],
        ),
    ] {
        for command in ["run", "doctor", "migrate"] {
            let settings = [(format!("WAYPOST__{variable}"), value.to_owned())];
            let mut process = waypost(command, &settings, &folder);
            assert!(!process.exit(Duration::from_mins(1)).await.success(), "{command}");
            let output = process.output();
            assert!(
                told.iter().all(|part| output.contains(part)),
                "{variable}, {command}: {output}"
            );
        }
    }
}
