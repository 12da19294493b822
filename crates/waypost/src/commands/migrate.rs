use std::process::ExitCode;

use common::config::{Service, load};

use super::{fail, runtime};

/// `waypost migrate`
#[expect(clippy::print_stdout, reason = "this is a command line")]
pub fn migrate() -> ExitCode {
    let all = async {
        for service in Service::WITH_DATABASE {
            crate::migrate::migrate(&load(service)?, service).await?;
            println!("{service}: up to date");
        }
        anyhow::Ok(())
    };
    match runtime()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(all))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}
