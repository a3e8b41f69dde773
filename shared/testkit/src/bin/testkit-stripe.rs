//! A stand-in of Stripe for the local stack, see [`carhaul_testkit::run_stripe`].

use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(settings) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: testkit-stripe <settings.json>");
        return ExitCode::from(2);
    };
    match carhaul_testkit::run_stripe(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
