//! The README's commands, run as they stand there, so that the quick start can't rot.
//!
//! In a fresh copy of the repository and, where the machine lets us, in a network of its own, so that the
//! ports that the README names are free. What is compiled for the tests already is not compiled again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use test_support::Process;

/// A cold build of our own crates on two busy cores.
const PATIENCE: Duration = Duration::from_mins(15);

/// Blocks that are not run here, each with its reason.
const ELSEWHERE: [(&str, &str); 2] = [
    ("make test\n", "this test is part of it"),
    (
        "make up-native\n",
        "needs the servers of the machine; the other tests run the same processes over them",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_work_as_written() {
    let built = test_support::workspace_binary("waypost");
    let place = built.ancestors().nth(2).unwrap().join("readme");
    let clone = place.join("clone");
    let _ = std::fs::remove_dir_all(&clone);
    copy_sources(&clone);
    let blocks = blocks(&std::fs::read_to_string(clone.join("README.md")).unwrap());
    let run: Vec<&String> = blocks
        .iter()
        .filter(|block| !ELSEWHERE.iter().any(|(skipped, _)| block.starts_with(skipped)))
        .collect();
    assert!(run.iter().any(|block| block.as_str() == "make demo\n"), "{blocks:?}");
    assert_eq!(blocks.len() - run.len(), ELSEWHERE.len(), "{blocks:?}");

    std::fs::write(clone.join("blocks.sh"), script(&run)).unwrap();
    let mut script = Process::run("bash")
        .arg("-c")
        .arg(START)
        .env("CARGO_TARGET_DIR", shared_target(&place))
        .folder(&clone)
        .spawn();
    let status = script.exit(PATIENCE).await;
    let output = script.output();
    assert!(status.success(), "{output}");
    for shown in ["is signed up", "One trace,", "Waypost is up", "all blocks ran"] {
        assert!(output.contains(shown), "`{shown}` is missing in\n{output}");
    }
}

/// Where the machine lets us, the blocks get a network of their own: the README's ports are free there.
const START: &str = r"
if unshare --net true 2>/dev/null && command -v ip >/dev/null; then
  exec unshare --net bash -c 'ip link set lo up && exec bash blocks.sh'
fi
exec bash blocks.sh
";

const FUNCTIONS: &str = r#"set -euo pipefail
# An answer that is an error ends the script.
curl() { command curl --silent --show-error --fail-with-body "$@"; }
keep_up() {
  # Or what the last one said would be taken for this one's, until it begins to write.
  rm -f up.log
  up >up.log 2>&1 &
  local end=$((SECONDS + 600))
  until grep -qs "Waypost is up" up.log; do
    if ((SECONDS > end)) || ! kill -0 $! 2>/dev/null; then cat up.log; exit 1; fi
    sleep 0.2
  done
  cat up.log
}
stop() {
  local pid
  for pid in $(pgrep -f 'debug/waypost run'); do
    # Other tests run one too, elsewhere.
    if [[ $(readlink "/proc/$pid/cwd") == "$PWD" ]]; then kill -TERM "$pid"; fi
  done
  wait
}
"#;

/// One script for all blocks. One that keeps a process up is waited for until it says so, then stopped;
/// a block without `make` is for the process that `make run` keeps up.
fn script(blocks: &[&String]) -> String {
    let steps = blocks.iter().map(|block| {
        if block.contains("make run") {
            format!("up() {{\n{block}}}\nkeep_up\nstop\n")
        } else if block.contains("make") {
            (*block).clone()
        } else {
            format!("up() {{\nmake run\n}}\nkeep_up\n{block}stop\n")
        }
    });
    let steps: String = steps.collect();
    format!("{FUNCTIONS}{steps}echo all blocks ran\n")
}

/// The repository as a clone would have it: files that git does not know are not there.
fn copy_sources(to: &Path) {
    let root = root();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "-z"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "this needs git, and a checkout");
    for file in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let file = PathBuf::from(std::str::from_utf8(file).unwrap());
        let from = root.join(&file);
        if from.is_file() {
            std::fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
            std::fs::copy(from, to.join(&file)).unwrap();
        }
    }
}

/// A target folder of its own beside the tests', so that neither disturbs the other. It begins with links to
/// what the dependencies were compiled to already, and stays for the next run.
fn shared_target(place: &Path) -> PathBuf {
    let shared = place.join("target");
    let debug = shared.join("debug");
    if !debug.exists() {
        std::fs::create_dir_all(&debug).unwrap();
        let built = test_support::workspace_binary("waypost");
        for part in ["deps", "build", ".fingerprint"] {
            let from = built.parent().unwrap().join(part);
            let linked = Command::new("cp").arg("-al").arg(from).arg(&debug).status().unwrap();
            assert!(linked.success());
        }
    }
    shared
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// The shell blocks of a Markdown text.
fn blocks(text: &str) -> Vec<String> {
    text.split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}
