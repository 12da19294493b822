//! Takes a port, and says which setting to change when it is taken.

use std::io;
use std::net::TcpListener;

use crate::config::Service;

/// Takes a port for `service`. `section` is the settings' section that has its `address`.
///
/// # Errors
/// An [`io::Error`] that names the address and the setting to change.
pub fn listen(service: Service, section: &str, address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let setting = format!(
            "WAYPOST__{}__{}__ADDRESS",
            service.identifier().to_uppercase(),
            section.to_uppercase()
        );
        let problem = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has this port".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(
            error.kind(),
            format!("{service} can't listen on {address}: {problem}; set {setting} to another address"),
        )
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
