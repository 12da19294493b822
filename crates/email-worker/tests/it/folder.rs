use std::path::Path;

use test_support::{Folder, eventually};

use crate::world::{SOON, World, sign_up};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_replaces_the_file_of_the_first() {
    let mut world = World::embedded().await;
    let folder = Folder::create();
    let mails = folder.join("mail");
    world.settings.own.mail.url = format!("file://{}", mails.display()).into();
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    world.delivery("accepted").await;
    let first = names(&mails);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(Path::new(&first[0]).extension().unwrap(), "eml");
    let content = std::fs::read(mails.join(&first[0])).unwrap();

    // As after a crash between the rename and the commit.
    std::fs::write(mails.join(&first[0]), "old").unwrap();
    world.execute("UPDATE deliveries SET status = 'pending'").await;
    eventually(SOON, || async {
        std::fs::read(mails.join(&first[0])).unwrap() == content
    })
    .await;
    world.delivery("accepted").await;
    assert_eq!(names(&mails), first);
}
