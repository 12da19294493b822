//! Each exercise tells right from wrong: the skeleton fails with the fault that is meant, the solution passes.

use std::collections::BTreeSet;

use guide::exercises::{Attempt, Exercise, Proof, Whose, all};
use guide::markdown::{Kind, LANGUAGES, Page};

use crate::{pages, sets};

#[tokio::test]
async fn the_skeleton_fails_as_it_is_meant_to_and_the_solution_passes() {
    for exercise in all() {
        let Proof::Code { says } = exercise.proof else { continue };
        let name = exercise.name;
        let missing = (exercise.check)(Attempt::of(Whose::Learner)).await.expect_err(name);
        assert!(missing.contains(says), "{name} says: {missing}");
        let seen = (exercise.check)(Attempt::of(Whose::Solution)).await;
        let seen = seen.unwrap_or_else(|missing| panic!("the solution of {name} fails: {missing}"));
        println!("{name}: {missing}\n    solution: {seen}");
    }
}

#[tokio::test]
async fn a_wrong_answer_is_refused_and_the_right_one_passes() {
    for exercise in all() {
        let Proof::Answer { wrong, right } = exercise.proof else {
            continue;
        };
        let missing = answered(&exercise, None).await.expect_err(exercise.name);
        assert!(missing.contains("A="), "{missing}");
        let missing = answered(&exercise, Some(wrong)).await.expect_err(exercise.name);
        let seen = answered(&exercise, Some(right)).await;
        let seen = seen.unwrap_or_else(|missing| panic!("{}: {missing}", exercise.name));
        println!("{}: {missing}\n    {right}: {seen}", exercise.name);
    }
}

async fn answered(exercise: &Exercise, answer: Option<&str>) -> guide::exercises::Verdict {
    let answer = answer.map(str::to_owned);
    (exercise.check)(Attempt {
        answer,
        ..Attempt::of(Whose::Learner)
    })
    .await
}

#[test]
fn what_is_proved_by_commands_fails_and_passes_in_its_page() {
    for language in LANGUAGES {
        let pages = pages::of(language);
        for exercise in all().filter(|exercise| matches!(exercise.proof, Proof::Commands)) {
            let command = format!("make exercise E={}", exercise.name);
            let runs: BTreeSet<_> = pages.iter().flat_map(|page| runs(page, &command)).collect();
            assert_eq!(
                runs,
                [false, true].into(),
                "{command} in {language}: one run that fails, one that passes"
            );
        }
    }
}

/// Whether each run of a command in the page is to succeed.
fn runs(page: &Page, command: &str) -> Vec<bool> {
    let fences = page.blocks.iter().filter(|block| {
        block
            .fence()
            .is_some_and(|fence| fence.language == "sh" && fence.text.lines().any(|line| line == command))
    });
    fences.map(|block| block.marker("run") != Some("fails")).collect()
}

#[test]
fn every_exercise_is_told_of_in_each_language_and_none_twice() {
    let names: Vec<_> = all().map(|exercise| exercise.name.to_owned()).collect();
    for language in LANGUAGES {
        let pages = pages::of(language);
        let sets = pages.iter().filter(|page| page.file.contains("/exercises/"));
        let sections = sets.flat_map(sets::sections);
        let told: Vec<_> = sections
            .filter_map(|(_, kinds): (&str, Vec<&Kind>)| sets::named(&kinds))
            .collect();
        assert_eq!(told, names, "{language}");
    }
}
