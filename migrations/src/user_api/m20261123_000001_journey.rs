//! The first tables of user-api.

use sea_orm_migration::prelude::*;

use crate::shared::{create_outbox, drop_tables, index};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.create_table(users()).await?;
        schema.create_table(sessions()).await?;
        index(schema, "sessions", "sessions_user", &["user_id"]).await?;
        schema.create_table(signing_keys()).await?;
        create_outbox(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(schema, &["outbox", "signing_keys", "sessions", "users"]).await
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("email").text().not_null())
        // The address in lower case, in which it must be unique.
        .col(ColumnDef::new("email_key").text().not_null().unique_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("locale").text().not_null())
        .col(ColumnDef::new("phone").text())
        .col(ColumnDef::new("time_zone").text())
        .col(ColumnDef::new("status").text().not_null())
        .col(ColumnDef::new("email_verified").boolean().not_null())
        .col(ColumnDef::new("roles").json_binary().not_null())
        .col(ColumnDef::new("password_hash").text().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("device").text())
        .col(ColumnDef::new("address").text())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("last_seen_at").big_integer().not_null())
        .col(ColumnDef::new("revoked_at").big_integer())
        .foreign_key(
            ForeignKey::create()
                .from("sessions", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn signing_keys() -> TableCreateStatement {
    Table::create()
        .table("signing_keys")
        .col(ColumnDef::new("id").text().not_null().primary_key())
        .col(ColumnDef::new("private_key").binary().not_null())
        .col(ColumnDef::new("public_key").binary().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("retired_at").big_integer())
        .to_owned()
}
