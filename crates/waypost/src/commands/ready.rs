//! `waypost ready`: asks a service whether it can do its work.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use super::complete::fail;
use super::output::say;

const PATIENCE: Duration = Duration::from_secs(2);

/// `waypost ready <address>`: whether the service behind an operations port can do its work.
///
/// For health checks in images that have no HTTP client of their own.
pub fn ready(address: &str) -> ExitCode {
    match ask(address) {
        Ok(answer) => {
            say(answer.split("\r\n\r\n").nth(1).unwrap_or_default());
            if answer.starts_with("HTTP/1.1 200") {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => fail(&error),
    }
}

fn ask(address: &str) -> std::io::Result<String> {
    let target = address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| std::io::Error::other("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}
