//! A private PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{START, Server, is_a_server, run};
use crate::{Authority, Folder, Papers, Port, Shown, database};

/// A request for TLS, as libpq sends it first; a server without certificates answers `N`.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Version 3.0 of the protocol, as a connection begins with it.
const PROTOCOL: u32 = 3 << 16;

/// A PostgreSQL cluster of one test's own.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Server,
    home: PathBuf,
}
is_a_server!(PrivatePostgres);

impl PrivatePostgres {
    /// Makes a cluster, starts it and waits until it takes statements.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with settings of the test's own, as `postgresql.conf` has them: `shared_buffers=512MB`.
    pub async fn with(settings: &[&str]) -> Self {
        let (port, folder) = (Port::reserve(), Folder::create());
        let programs = programs();
        let root = is_root();
        if root {
            let mut command = Command::new("chown");
            command.arg("postgres").arg(folder.path());
            run(command).await;
        }
        let mut initdb = as_owner(root, &programs.join("initdb"));
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
            .arg("--locale=C.UTF-8")
            .arg("-D")
            .arg(folder.join("data"))
            .current_dir("/");
        run(initdb).await;
        // Without fsync: a killed process loses nothing by it, only a machine that loses power does.
        let mut command = as_owner(root, &programs.join("postgres"));
        command
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port.number().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "max_connections=200"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.path().display()))
            .args(settings.iter().flat_map(|setting| ["-c", *setting]))
            .current_dir("/");
        let home = folder.path().to_owned();
        let server = Server::new(command, (SSL_REQUEST, b"N"), port, folder);
        let mut postgres = Self { server, home };
        postgres.start_and_wait().await;
        postgres
    }

    /// Starts one that speaks TLS to clients that ask for it, and shows such a certificate.
    pub async fn start_with_tls(authority: &Authority, shown: Shown) -> Self {
        let postgres = Self::start().await;
        let papers = postgres.papers();
        for (setting, value) in [
            ("ssl_cert_file", papers.certificate.to_str()),
            ("ssl_key_file", papers.key.to_str()),
            ("ssl", Some("on")),
        ] {
            let value = value.expect("a path of plain letters");
            postgres
                .execute(&format!("ALTER SYSTEM SET {setting} = '{value}'"))
                .await;
        }
        postgres.show(authority, shown).await;
        postgres
    }

    /// Shows such a certificate to those who connect over TLS, as soon as the server has read it.
    pub async fn show(&self, authority: &Authority, shown: Shown) {
        use std::os::unix::fs::PermissionsExt;
        let papers = self.papers();
        authority.papers(shown).copy_to(&papers);
        // It refuses a key that others could read.
        std::fs::set_permissions(&papers.key, PermissionsExt::from_mode(0o600)).expect("the key is closed");
        if is_root() {
            let mut command = Command::new("chown");
            command.arg("postgres").args([&papers.certificate, &papers.key]);
            run(command).await;
        }
        self.execute("SELECT pg_reload_conf()").await;
    }

    fn papers(&self) -> Papers {
        Papers {
            certificate: self.home.join("certificate.pem"),
            key: self.home.join("key.pem"),
        }
    }

    /// Starts it again after a kill and waits until recovery is over and it takes statements.
    pub async fn start_and_wait(&mut self) {
        self.server.start().await;
        let url = self.url();
        crate::eventually(START, || async { database::execute(&url, "SELECT 1").await.is_ok() }).await;
    }

    /// The address of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }

    /// Opens so many connections that do nothing, for as long as what is given back lives. Where the server has no place
    /// left, it tries again until others have ended.
    pub async fn idle_connections(&self, count: usize) -> Vec<TcpStream> {
        let mut idle = Vec::with_capacity(count);
        while idle.len() < count {
            idle.push(crate::eventually(START, || async { greeted(self.port()).await.ok() }).await);
        }
        idle
    }

    /// Runs one statement in it.
    pub async fn execute(&self, statement: &str) {
        database::execute(&self.url(), statement)
            .await
            .expect("the statement runs");
    }
}

/// Opens a connection up to where it may send its first statement. This server trusts every user, without a password.
async fn greeted(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let words = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(words.len() + 8).expect("a few bytes");
    stream.write_u32(length).await?;
    stream.write_u32(PROTOCOL).await?;
    stream.write_all(words).await?;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?;
        let mut text = vec![0; usize::try_from(length - 4).expect("a short message")];
        stream.read_exact(&mut text).await?;
        match kind {
            b'Z' => return Ok(stream),
            b'E' => return Err(std::io::Error::other(String::from_utf8_lossy(&text).into_owned())),
            _ => {}
        }
    }
}

/// PostgreSQL refuses to run as root: then it runs as the user `postgres`, by exec, so that it keeps the id
/// of the process that we started.
fn as_owner(root: bool, program: &Path) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"])
        .arg(program);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Where the newest installed PostgreSQL has its programs.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").exists().then_some((version, folder))
        })
        .collect();
    found.sort();
    if let Some((_, folder)) = found.pop() {
        return folder;
    }
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .find(|folder| folder.join("initdb").exists())
        .expect("PostgreSQL's initdb; `make services` installs it")
}
