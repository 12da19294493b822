//! `waypost config`: shows the settings.

use std::io::Write;
use std::process::ExitCode;

use common::config::{EffectiveSetting, Service, effective};

use super::complete::fail;
use crate::settings::Programs;

/// `waypost config`: every setting as it is read, and where it came from; secrets are hidden.
///
/// What all services share comes first, then what each has of its own.
pub fn config() -> ExitCode {
    // Every program's settings are loaded first, as some rules are about several values: one that would not start says so.
    if let Err(error) = Programs::load() {
        return fail(&error);
    }
    let mut all = Vec::new();
    for service in Service::ALL {
        match effective(service) {
            Ok(settings) => all.push((service, settings)),
            Err(error) => return fail(&error),
        }
    }
    // The reader may have closed the pipe, as `head` does: that is no failure.
    let _ = std::io::stdout().write_all(text(&all).as_bytes());
    ExitCode::SUCCESS
}

fn text(all: &[(Service, Vec<EffectiveSetting>)]) -> String {
    let is_shared = |setting: &EffectiveSetting| all.iter().all(|(_, settings)| settings.contains(setting));
    let shared = all
        .first()
        .map(|(_, settings)| settings.iter().filter(|one| is_shared(one)));
    let shared = format!("# all services\n{}", lines(shared.into_iter().flatten()));
    let own = all.iter().map(|(service, settings)| {
        let own = lines(settings.iter().filter(|setting| !is_shared(setting)));
        format!("\n# {service}\n{own}")
    });
    std::iter::once(shared).chain(own).collect()
}

fn lines<'a>(settings: impl Iterator<Item = &'a EffectiveSetting>) -> String {
    let line = |EffectiveSetting { key, value, origin }: &EffectiveSetting| match origin {
        Some(origin) => format!("{key} = {value}    # from {origin}\n"),
        None => format!("{key} = {value}\n"),
    };
    settings.map(line).collect()
}
