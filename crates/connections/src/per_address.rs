//! How many connections an address has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

/// Counts connections by address, an IPv6 one by its /64: whoever has one has all of it. Cheap to clone; clones count
/// together.
#[derive(Clone)]
pub struct PerAddress(Arc<Shared>);

struct Shared {
    most: usize,
    is_exempt: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    refused: Box<dyn Fn() + Send + Sync>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted for as long as this lives.
pub(crate) struct Counted(Option<(PerAddress, IpAddr)>);

impl PerAddress {
    /// Lets an address have `most` connections at a time; one that `is_exempt`, such as a proxy's, any number. `refused` is
    /// called for each connection that is closed because of it.
    pub fn new(
        most: usize,
        is_exempt: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
        refused: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            most,
            is_exempt: Box::new(is_exempt),
            refused: Box::new(refused),
            open: Mutex::default(),
        }))
    }

    /// Counts a connection; `None` when its address has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Counted> {
        let address = address.to_canonical();
        if (self.0.is_exempt)(address) {
            return Some(Counted(None));
        }
        let network = network(address);
        let mut open = self.open();
        let count = open.entry(network).or_insert(0);
        if *count >= self.0.most {
            drop(open);
            (self.0.refused)();
            return None;
        }
        *count += 1;
        Some(Counted(Some((self.clone(), network))))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.open.lock()
    }
}

impl std::fmt::Debug for PerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerAddress")
            .field("most", &self.0.most)
            .finish_non_exhaustive()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((counts, network)) = self.0.take() else {
            return;
        };
        let mut open = counts.open();
        if let Entry::Occupied(mut entry) = open.entry(network) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn an_address_has_so_many_and_gets_them_back() {
        let refused = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&refused);
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let counts = PerAddress::new(
            2,
            move |address| address == proxy,
            move || {
                counter.fetch_add(1, Ordering::Relaxed);
            },
        );
        let enter = |text: &str| counts.enter(text.parse().unwrap());
        let (first, second) = (enter("192.0.2.1"), enter("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some() && enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        let six = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(six.iter().all(Option::is_some) && enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
        let many: Vec<_> = (0..5).map(|_| enter("10.0.0.1")).collect();
        assert!(many.iter().all(Option::is_some));
        assert_eq!(refused.load(Ordering::Relaxed), 2);
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        drop((second, six, many));
        assert!(counts.open().is_empty());
    }
}
