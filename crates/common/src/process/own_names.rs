//! Refuses requests whose `Host` is not a name of this machine. Else a page in a developer's browser could call any port
//! here, by a name of its own that it lets resolve to 127.0.0.1 (DNS rebinding), and could read the answers.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::config::Hosts;

/// The layer of a port under development, with the [`Hosts`] that it knows as `app_data`; without them it lets all through.
///
/// A request without `Host` passes, since every browser sends that header. An unknown name is answered 421.
///
/// # Errors
/// What the layers inside answer with.
pub async fn own_names<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let named = request
        .headers()
        .get(HOST)
        .map(|host| host.to_str().unwrap_or_default());
    let is_known = match (request.app_data::<Data<Hosts>>(), named) {
        (Some(hosts), Some(named)) => hosts.are_named_by(named),
        _ => true,
    };
    if is_known {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let refusal = HttpResponse::build(StatusCode::MISDIRECTED_REQUEST).body(
        "This port answers by the names of the machine itself, such as localhost; \
         mail.page_hosts and operations.allowed_hosts name others.\n",
    );
    Ok(request.into_response(refusal).map_into_right_body())
}
