//! Every command of every page, run as it stands there, and its output held against what the page says.
//!
//! A page is one script, top to bottom, in a folder of its own with a view of the repository. `make run` in it starts
//! Waypost on ports that are free; where the page names the ports of the README, these stand in their place, there and back.
//! What the script calls is compiled already: `make exercise` and `cargo run` lead to the programs of this build. The
//! pages of the other language have the same commands, as the target `guide` holds.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on has failed; what it saw is printed"
)]

mod output;
mod scene;
mod script;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use guide::markdown::{Page, pages};

use crate::scene::Scene;
use crate::script::{Step, steps};

/// A whole page, on a machine that others use.
const PATIENCE: Duration = Duration::from_mins(4);
/// Pages side by side.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_every_page_work_and_say_what_the_page_says() -> Result<(), String> {
    let top = scene::top();
    let pages: Vec<_> = pages(&top, "en").unwrap();
    let runs = stream::iter(pages.iter().map(run)).buffered(AT_ONCE);
    let broken: Vec<String> = runs.collect::<Vec<_>>().await.concat();
    if broken.is_empty() {
        return Ok(());
    }
    // Printed, not thrown: a backtrace would hide the pages behind itself, and an error is shown with its lines escaped.
    println!("{}", broken.join("\n"));
    Err(format!("{} steps of the guide break, named above", broken.len()))
}

/// Runs a page, and lists what is not as it says.
async fn run(page: &Page) -> Vec<String> {
    let steps = steps(page);
    for (step, reason) in steps.iter().filter_map(|step| Some((step, step.elsewhere.as_ref()?))) {
        println!("{}:{} is not run here: {reason}", page.file, step.line);
    }
    let here: Vec<&Step> = steps.iter().filter(|step| step.elsewhere.is_none()).collect();
    if here.is_empty() {
        return Vec::new();
    }
    let began = Instant::now();
    let scene = Scene::open(&here).await;
    let outputs = scene.run(&here, PATIENCE).await;
    let took = began.elapsed().as_secs_f32();
    println!(
        "{}: {} of {} commands ran in {took:.1} s",
        page.file,
        outputs.len(),
        here.len()
    );
    let mut broken = Vec::new();
    for (index, step) in here.iter().enumerate() {
        let at = format!("{}:{}", page.file, step.line);
        match outputs.get(index) {
            None => {
                broken.push(format!(
                    "{at} did not end well, and no later one was run:\n{}",
                    scene.rest()
                ));
                break;
            }
            Some(said) => {
                let compared = step
                    .output
                    .as_ref()
                    .map(|wanted| output::compare(wanted, said, step.is_exact));
                if let Some(Err(difference)) = compared {
                    broken.push(format!("{at} says something else: {difference}"));
                }
            }
        }
    }
    broken
}
