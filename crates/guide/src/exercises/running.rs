//! The metrics of a Waypost that runs, summed up over the labels that are not asked for.

use std::time::Duration;

/// How long the operations port may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The metrics of one service, as its operations port gives them.
pub(crate) struct Measured(String);

impl Measured {
    /// Asks the operations port at `at`.
    ///
    /// # Errors
    /// A sentence that says that nobody answers there; also when the answer is no success.
    pub(crate) async fn at(at: &str) -> Result<Self, String> {
        let asked = async {
            let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
            let answer = client.get(format!("http://{at}/metrics")).send().await?;
            answer.error_for_status()?.text().await
        };
        asked.await.map(Self).map_err(|_| {
            format!("Nobody answers at {at}: keep Waypost up in another terminal, as the exercise says, and try again.")
        })
    }

    /// Metrics that are at hand as text.
    pub(crate) fn of(text: String) -> Self {
        Self(text)
    }

    /// The sum of all series of `name` that have these labels; a series without any label is left out.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix('{')?;
            let (has, value) = rest.split_once("} ")?;
            let wanted = labels.iter().map(|(label, value)| format!("{label}=\"{value}\""));
            let is_wanted = wanted.into_iter().all(|label| has.split(',').any(|one| one == label));
            is_wanted
                .then(|| value.split_whitespace().next()?.parse::<f64>().ok())
                .flatten()
        });
        series.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_with_the_labels_are_summed_up() {
        let text = "# TYPE reads counter\nreads_total{layer=\"l1\",outcome=\"hit\"} 3\n\
                    reads_total{outcome=\"miss\",layer=\"l1\"} 4 # {} 1\nreads_total{layer=\"l2\"} 9\nreads 1";
        let measured = Measured(text.to_owned());
        assert!((measured.sum("reads_total", &[("layer", "l1")]) - 7.0).abs() < f64::EPSILON);
        assert!(measured.sum("writes_total", &[]).abs() < f64::EPSILON);
    }
}
