//! How a service and what it depends on are, for `/readyz`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde::Serialize;

/// Longest that one check may take; a slower one counts as down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Works.
    Up,
    /// Works, but less than it should.
    Degraded,
    /// Does not work.
    Down,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How the dependency is.
    pub state: State,
    /// What is wrong and what cures it, when that is known; no address, no secret.
    pub cure: Option<Cow<'static, str>>,
    /// Host and port of what is in use, where several addresses may be.
    pub node: Option<String>,
}

impl Finding {
    /// It does not work, and this is what to do.
    pub const fn down(cure: &'static str) -> Self {
        Self {
            state: State::Down,
            cure: Some(Cow::Borrowed(cure)),
            node: None,
        }
    }
}

impl From<State> for Finding {
    fn from(state: State) -> Self {
        Self {
            state,
            cure: None,
            node: None,
        }
    }
}

/// Whether the service can do its main job without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It can't: when this is down, the service is not ready (503).
    Required,
    /// It can: when this is down, the service is degraded (200).
    Optional,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// The service as a whole.
    pub status: State,
    /// Each dependency.
    pub dependencies: BTreeMap<&'static str, State>,
    /// What is to be done about a dependency, where that is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cures: BTreeMap<&'static str, Cow<'static, str>>,
    /// Which node of a dependency is in use, where it may have several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<&'static str, String>,
    /// What an operator holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
}

type Held = Arc<dyn Fn() -> Vec<String> + Send + Sync>;
type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Finding> + Send>> + Send + Sync>;

/// The dependencies of one service and how to ask after each.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<BTreeMap<&'static str, (Need, Check)>>>,
    held: Arc<RwLock<Option<Held>>>,
}

impl Health {
    /// Adds a dependency, in the place of one with the same name. `check` is asked at every look and may take a second.
    pub fn register<F, Fut>(&self, name: &'static str, need: Need, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Into<Finding>> + Send + 'static,
    {
        let check: Check = Arc::new(move || {
            let checked = check();
            Box::pin(async move { checked.await.into() })
        });
        self.checks.write().insert(name, (need, check));
    }

    /// Adds a condition to a dependency: while it is up by its check, its state is that of `condition`. Does nothing where
    /// no dependency has this name.
    pub fn also(&self, name: &'static str, condition: impl Fn() -> State + Send + Sync + 'static) {
        let mut checks = self.checks.write();
        let Some((_, check)) = checks.get_mut(name) else {
            return;
        };
        let (first, condition) = (Arc::clone(check), Arc::new(condition));
        *check = Arc::new(move || {
            let (first, condition) = (first(), Arc::clone(&condition));
            Box::pin(async move {
                match first.await {
                    Finding {
                        state: State::Up, node, ..
                    } => Finding {
                        node,
                        ..condition().into()
                    },
                    found => found,
                }
            })
        });
    }

    /// Has readiness show the names of what an operator holds. The service is degraded while there is any.
    pub fn shows_held(&self, held: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        *self.held.write() = Some(Arc::new(held));
    }

    /// Asks all dependencies, side by side; takes a second at most.
    pub async fn readiness(&self) -> Readiness {
        let checks = self.checks.read().clone();
        let answers = checks.into_iter().map(|(name, (need, check))| async move {
            let checked = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            (name, need, checked.unwrap_or(State::Down.into()))
        });
        let mut status = State::Up;
        let (mut dependencies, mut cures, mut nodes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, need, Finding { state, cure, node }) in futures_util::future::join_all(answers).await {
            let weight = match (need, state) {
                (Need::Required, State::Down) => State::Down,
                (_, State::Up) => State::Up,
                _ => State::Degraded,
            };
            status = status.max(weight);
            dependencies.insert(name, state);
            cures.extend(cure.map(|cure| (name, cure)));
            nodes.extend(node.map(|node| (name, node)));
        }
        let held = self.held.read().as_ref().map(|held| held()).unwrap_or_default();
        if !held.is_empty() {
            status = status.max(State::Degraded);
        }
        Readiness {
            status,
            dependencies,
            cures,
            nodes,
            held,
        }
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_optional_dependency_degrades_and_a_required_one_stops() {
        let health = Health::default();
        health.register("database", Need::Required, || async { State::Up });
        assert_eq!(health.readiness().await.status, State::Up);
        health.register("store", Need::Optional, || async { State::Down });
        assert_eq!(health.readiness().await.status, State::Degraded);
        health.register("database", Need::Required, || async { State::Down });
        assert_eq!(health.readiness().await.status, State::Down);
    }

    #[tokio::test]
    async fn a_dependency_with_a_condition_is_up_where_both_are_and_keeps_its_cure() {
        let health = Health::default();
        health.register("database", Need::Required, || async { State::Up });
        health.also("database", || State::Down);
        let readiness = health.readiness().await;
        assert_eq!((readiness.status, readiness.cures.len()), (State::Down, 0));
        health.register("database", Need::Required, || async { Finding::down("migrate") });
        health.also("database", || State::Degraded);
        let readiness = health.readiness().await;
        assert_eq!(readiness.dependencies["database"], State::Down);
        assert_eq!(readiness.cures["database"], "migrate");
    }

    #[tokio::test]
    async fn the_node_in_use_is_named_whatever_condition_there_is() {
        let health = Health::default();
        let at = |state: State| Finding {
            node: Some("one:5672".to_owned()),
            ..state.into()
        };
        health.register("broker", Need::Optional, move || async move { at(State::Up) });
        health.also("broker", || State::Degraded);
        health.register("store", Need::Optional, || async { State::Up });
        let readiness = health.readiness().await;
        assert_eq!(readiness.nodes, BTreeMap::from([("broker", "one:5672".to_owned())]));
        assert_eq!(readiness.dependencies["broker"], State::Degraded);
    }

    #[tokio::test]
    async fn what_is_held_degrades_and_is_named() {
        let health = Health::default();
        health.shows_held(|| vec!["mail".to_owned()]);
        let readiness = health.readiness().await;
        assert_eq!(
            (readiness.status, readiness.held),
            (State::Degraded, vec!["mail".to_owned()])
        );
        health.shows_held(Vec::new);
        assert_eq!(health.readiness().await.status, State::Up);
    }

    #[tokio::test]
    async fn a_check_that_hangs_counts_as_down() {
        let health = Health::default();
        health.register("broker", Need::Optional, std::future::pending::<State>);
        assert_eq!(health.readiness().await.dependencies["broker"], State::Down);
    }
}
