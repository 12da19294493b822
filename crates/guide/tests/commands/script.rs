//! The commands of a page, and the script that they become.

use guide::markdown::Page;

/// What begins the line that ends a step in the script's output.
pub(crate) const END: &str = "@@ the end of step ";

const MEANT_TO_FAIL: &str = "if ((status == 0)); then echo 'it was meant to fail'; exit 1; fi";

/// A fence of commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) commands: String,
    /// Whether it is meant to fail: `<!-- run: fails -->`.
    pub(crate) fails: bool,
    /// Why it is not run here: `<!-- run: elsewhere, reason -->`.
    pub(crate) elsewhere: Option<String>,
    /// What the fence of text below says it prints.
    pub(crate) output: Option<String>,
    /// Whether the figures are the same each time: `<!-- figures: exact -->` above that.
    pub(crate) is_exact: bool,
}

/// The steps of a page.
///
/// # Panics
/// When a marker `run` says something else, or gives no reason.
pub(crate) fn steps(page: &Page) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, block) in page.blocks.iter().enumerate() {
        let Some(fence) = block.fence().filter(|fence| fence.language == "sh") else {
            continue;
        };
        if block.marker("source").is_some() {
            continue;
        }
        let below = page.blocks.get(index + 1);
        let output = below.filter(|block| block.fence().is_some_and(|fence| fence.language == "text"));
        let run = block.marker("run").unwrap_or_default();
        let elsewhere = run.strip_prefix("elsewhere, ").map(str::to_owned);
        let fails = run == "fails";
        let is_known = run.is_empty() || fails || elsewhere.as_ref().is_some_and(|reason| !reason.is_empty());
        assert!(
            is_known,
            "{}:{} `run: {run}` is neither `fails` nor `elsewhere, reason`",
            page.file, block.line
        );
        steps.push(Step {
            line: block.line,
            commands: fence.text.clone(),
            fails,
            elsewhere,
            output: output.and_then(|block| Some(block.fence()?.text.clone())),
            is_exact: output.is_some_and(|block| block.marker("figures") == Some("exact")),
        });
    }
    steps
}

/// The script of these steps, behind `preamble`. It ends at the first one that does not end as it is meant to.
pub(crate) fn script(preamble: &str, steps: &[&Step]) -> String {
    let steps = steps.iter().enumerate().map(|(index, Step { commands, fails, .. })| {
        let body = if *fails {
            // Not behind `if`: there the shell would go on after a command that fails.
            format!("set +e\n(set -e\n{commands})\nstatus=$?\nset -e\n{MEANT_TO_FAIL}\n")
        } else {
            commands.clone()
        };
        format!("{body}echo; echo '{END}{index}'\n")
    });
    format!("{preamble}\n{}", steps.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PAGE: &str = "```sh\na=1\n```\n\n<!-- run: fails -->\n```sh\nfalse\ntrue\n```\n\n```sh\necho $a\n```\n\n<!-- figures: exact -->\n```text\n1\n```\n\n<!-- run: elsewhere, it takes long -->\n```sh\nmake bench\n```\n";

    fn says(page: &str) -> String {
        let page = Page::parse("a.md", page);
        let steps = steps(&page);
        let here: Vec<&Step> = steps.iter().filter(|step| step.elsewhere.is_none()).collect();
        let output = Command::new("bash")
            .arg("-c")
            .arg(script("set -e", &here))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn steps_run_in_one_shell_and_one_that_is_meant_to_fail_may() {
        let page = Page::parse("a.md", PAGE);
        let steps = steps(&page);
        assert_eq!(steps[2].output.as_deref(), Some("1\n"));
        assert!(steps[2].is_exact && steps[1].fails);
        assert_eq!(steps[3].elsewhere.as_deref(), Some("it takes long"));
        assert!(says(PAGE).ends_with(&format!("1\n\n{END}2\n")), "{}", says(PAGE));
    }

    #[test]
    fn a_step_that_ends_otherwise_ends_the_script() {
        assert!(!says("```sh\nfalse\n```\n").contains(END));
        assert!(!says("<!-- run: fails -->\n```sh\ntrue\n```\n").contains(END));
    }
}
