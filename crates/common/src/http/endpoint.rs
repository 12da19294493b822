//! A path of the API, its methods, and what is said of each.

use std::any::type_name;

use actix_web::guard::{Any, Get, Head};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route, web};
use utoipa::openapi::path::HttpMethod;

use super::describe::{Access, Describe, OperationDoc};
use super::in_order::InOrder;
use super::limit::limited;
use super::{Problem, kinds};
use crate::limits::Class;

/// One path and its methods. `Allow`, HEAD and the description follow from them.
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
    /// Answers GET with what has no end, and so nothing to say to HEAD.
    stream = GET, described as Get, head: false;
    /// Answers POST.
    post = POST, described as Post, head: false;
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
            describe,
            route: limited(route, class, doc.access),
        });
        self
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The resource that answers these methods, and 405 to all others.
    pub(super) fn into_resource(self) -> Resource {
        let methods: Vec<&str> = self.offers.iter().flat_map(Offer::methods).collect();
        let allow = methods.join(", ");
        let resource = self
            .offers
            .into_iter()
            .fold(web::resource(self.path), |resource, offer| resource.route(offer.route));
        resource.default_service(only(&allow))
    }
}

impl Offer {
    fn methods(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.method.as_str()).chain(self.head.then_some("HEAD"))
    }
}

/// A route that anybody may take, with a limit a source: `public(readable().to(handler))`.
pub(super) fn public(route: Route) -> Route {
    limited(route, Class::Public, Access::Anyone)
}

/// A route for GET and HEAD: `readable().to(handler)`.
pub(super) fn readable() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// The default of a resource: 405, with the methods that it has.
pub(super) fn only(allow: &str) -> Route {
    let allow = allow.to_owned();
    public(web::to(move || {
        std::future::ready(Err::<HttpResponse, _>(Problem::method_not_allowed(allow.clone())))
    }))
}
