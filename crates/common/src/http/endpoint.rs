//! A path of the API, its methods, and what is said of each.

use std::any::type_name;
use std::future::ready;

use actix_web::guard::{Any, Get, Head};
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route, web};
use utoipa::openapi::path::HttpMethod;

use super::describe::{Access, Describe, OperationDoc};
use super::door::{RoutePath, behind};
use super::in_order::InOrder;
use super::shed::Shedder;
use super::{Problem, kinds};
use crate::limits::Class;
use crate::resilience::Priority;

/// One path and its methods. `Allow`, HEAD and the description follow from them.
///
/// Each method is added with its class of rate limit, a summary for the description, and its handler.
pub struct Endpoint {
    path: &'static str,
    offers: Vec<Offer>,
}

/// One method of a path.
pub(super) struct Offer {
    pub(super) method: Method,
    pub(super) described: HttpMethod,
    /// Whether HEAD is answered as well: GET without the body (RFC 9110, 9.1).
    pub(super) head: bool,
    pub(super) class: Class,
    pub(super) summary: &'static str,
    /// Name of the handler: the operation's id.
    pub(super) name: &'static str,
    pub(super) access: Access,
    /// Whether an account is made safe by it, so that it is refused last.
    pub(super) is_securing: bool,
    pub(super) describe: fn(&mut OperationDoc),
    route: Route,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident, described as $described:ident, head: $head:literal;)*) => {
        impl Endpoint {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name<F, Args>(self, class: Class, summary: &'static str, handler: F) -> Self
            where
                F: Handler<Args>,
                Args: Describe + 'static,
                InOrder<Args>: FromRequest,
                F::Output: Responder + Describe + 'static,
            {
                self.offer((Method::$method, HttpMethod::$described), $head, (class, summary), handler)
            }
        )*}
    };
}

methods! {
    /// Answers GET and HEAD.
    get = GET, described as Get, head: true;
    /// Answers GET with what has no end; HEAD is refused (405), because there is nothing to say to it.
    stream = GET, described as Get, head: false;
    /// Answers POST.
    post = POST, described as Post, head: false;
    /// Answers PUT.
    put = PUT, described as Put, head: false;
    /// Answers DELETE.
    delete = DELETE, described as Delete, head: false;
    /// Answers PATCH.
    patch = PATCH, described as Patch, head: false;
}

impl Endpoint {
    /// Begins the row of a path, such as `/v1/users/{id}`.
    pub fn at(path: &'static str) -> Self {
        Self {
            path,
            offers: Vec::new(),
        }
    }

    fn offer<F, Args>(
        mut self,
        (method, described): (Method, HttpMethod),
        head: bool,
        (class, summary): (Class, &'static str),
        handler: F,
    ) -> Self
    where
        F: Handler<Args>,
        Args: Describe + 'static,
        InOrder<Args>: FromRequest,
        F::Output: Responder + Describe + 'static,
    {
        let route = if head { readable() } else { web::method(method.clone()) };
        let describe: fn(&mut OperationDoc) = |operation| {
            Args::describe(operation);
            F::Output::describe(operation);
            operation.problem(&kinds::RATE_LIMITED);
        };
        let mut doc = OperationDoc::default();
        Args::describe(&mut doc);
        let route = route.to(move |InOrder(args): InOrder<Args>| handler.call(args));
        self.offers.push(Offer {
            method,
            described,
            head,
            class,
            summary,
            name: type_name::<F>().rsplit("::").next().unwrap_or_default(),
            access: doc.access,
            is_securing: false,
            describe,
            route,
        });
        self
    }

    /// Says of the method that was added last that it makes an account safe: logging out, revoking, a new password.
    /// When not all requests can be served, such ones are refused last.
    #[must_use]
    pub fn securing(mut self) -> Self {
        if let Some(offer) = self.offers.last_mut() {
            offer.is_securing = true;
        }
        self
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Serves these methods without limits, in a scope that takes `below` off the front of the path.
    pub(super) fn mount_below(self, below: &str, app: &mut ServiceConfig) {
        let rest = self.path.strip_prefix(below).unwrap_or(self.path);
        app.service(self.into_resource_at(rest, None, 0));
    }

    /// The resource that answers these methods, each behind its limits, and 405 to all others; `first` is the number of
    /// the first of them in the table.
    pub(super) fn into_resource(self, shedder: Option<&Shedder>, first: usize) -> Resource {
        let path = self.path;
        self.into_resource_at(path, shedder, first)
    }

    fn into_resource_at(self, at: &str, shedder: Option<&Shedder>, first: usize) -> Resource {
        let methods: Vec<&str> = self.offers.iter().flat_map(Offer::methods).collect();
        let allow = methods.join(", ");
        let offers = self.offers.into_iter().zip(first..);
        let resource = offers.fold(web::resource(at), |resource, (offer, number)| {
            let load = (offer.class, offer.priority());
            let gate = shedder.and_then(|shedder| shedder.gate(number, load));
            let path = Some(RoutePath(self.path));
            resource.route(behind(offer.route, path, gate, (offer.class, offer.access)))
        });
        resource.default_service(only(&allow))
    }
}

impl Offer {
    /// Who is refused first when not all can be served: other systems and whoever reads without a name, who can come
    /// again; then people; last, what makes an account safe.
    pub(super) fn priority(&self) -> Priority {
        match (self.access, self.class) {
            _ if self.is_securing => Priority::Critical,
            (Access::Service(_), _) | (_, Class::Public) | (Access::Anyone, Class::Read) => Priority::Sheddable,
            _ => Priority::Normal,
        }
    }

    fn methods(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.method.as_str()).chain(self.head.then_some("HEAD"))
    }
}

/// A route that anybody may take, with one limit for each source: `public(readable().to(handler))`.
pub(super) fn public(route: Route) -> Route {
    behind(route, None, None, (Class::Public, Access::Anyone))
}

/// A route for GET and HEAD: `readable().to(handler)`.
pub(super) fn readable() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// The default of a resource: the methods that it has, as the answer to OPTIONS (204), and to any other method (405).
pub(super) fn only(allow: &str) -> Route {
    let allow = allow.to_owned();
    public(web::to(move |method: Method| {
        ready(match method {
            Method::OPTIONS => Ok(HttpResponse::NoContent()
                .insert_header((ALLOW, allow.as_str()))
                .finish()),
            _ => Err(Problem::method_not_allowed(allow.clone())),
        })
    }))
}
