//! The first tables of notification-gateway.

use sea_orm_migration::prelude::*;

use crate::shared::{create_deliveries, create_inbox, create_outbox, drop_tables, index};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        create_inbox(schema).await?;
        schema.create_table(recipients()).await?;
        schema.create_table(notifications()).await?;
        for (name, columns) in [
            ("notifications_seq", ["user_id", "seq"].as_slice()),
            ("notifications_once", &["user_id", "source_event_id", "kind"]),
        ] {
            let mut unique = Index::create();
            unique.name(name).table("notifications").unique();
            for column in columns {
                unique.col(*column);
            }
            schema.create_index(unique).await?;
        }
        index(
            schema,
            "notifications",
            "notifications_source_event",
            &["source_event_id"],
        )
        .await?;
        create_deliveries(schema).await?;
        create_outbox(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            schema,
            &["outbox", "deliveries", "notifications", "recipients", "inbox"],
        )
        .await
    }
}

fn recipients() -> TableCreateStatement {
    Table::create()
        .table("recipients")
        .col(ColumnDef::new("user_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("email").text().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("locale").text().not_null())
        .col(ColumnDef::new("phone").text())
        .col(ColumnDef::new("time_zone").text())
        .col(ColumnDef::new("status").text().not_null())
        // The person's last notification number, counted under this row's lock.
        .col(ColumnDef::new("last_seq").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .to_owned()
}

fn notifications() -> TableCreateStatement {
    Table::create()
        .table("notifications")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("source_event_id").uuid().not_null())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("category").text().not_null())
        .col(ColumnDef::new("title").text().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .col(ColumnDef::new("data").json_binary().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("read_at").big_integer())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .to_owned()
}
