//! The ceiling of everything over HTTP here: a handler that does nothing but answer.

use actix_web::{
    App, HttpResponse, HttpServer, rt,
    web::{self, Bytes, Data},
};

use super::ceiling::variable;

/// Variable with the path of a file that holds what is answered.
pub(crate) const BODY_FILE: &str = "BENCH_BODY_FILE";

pub(super) fn serve() -> anyhow::Result<()> {
    let body = Data::new(Bytes::from(std::fs::read(variable(BODY_FILE)?)?));
    let address = variable("WAYPOST__HTTP__ADDRESS")?;
    rt::System::new().block_on(async move {
        HttpServer::new(move || {
            App::new()
                .app_data(body.clone())
                .route("/v1/users/{id}", web::get().to(answer))
                .route("/range/{prefix}", web::get().to(answer))
        })
        .workers(1)
        .bind(address)?
        .run()
        .await?;
        Ok(())
    })
}

async fn answer(body: Data<Bytes>) -> HttpResponse {
    let bytes = Bytes::clone(&body);
    HttpResponse::Ok().content_type("application/json").body(bytes)
}
