//! Runs a listener until it is told to stop. Signals are ours: actix's own handlers stay off.

use super::admin::{self, Admin};
use super::connection;
use super::connections::{Connections, Limits};
use super::guard::{Guard, guard};
use super::meter;
use super::socket;
use super::stream::{Opener, Stream};
use super::webhook::{self, Ingress};
use crate::config::Http;
use crate::supervision::{self, LastWords};
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive, Request, Response};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use actix_web::{App, Error, HttpResponse};
use socket2::Socket;
use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::ready;
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinError;

/// For actix to stop looking at the listening socket before it is shut down under it: else it reports an error.
const PAUSING: Duration = Duration::from_millis(3);

/// For handshakes that have begun to come to their end before the listening socket closes: a round trip to a proxy nearby. Who tries to
/// connect meanwhile gets through a second later, so it is not longer.
const HANDSHAKES: Duration = Duration::from_millis(3);

/// How long the closing waits for what is left in the listening socket's queue, when no worker has a place for it.
const QUEUE_LIMIT: Duration = Duration::from_millis(500);

/// For a client to take the end of its connection in.
const DISCONNECTING: Duration = Duration::from_secs(1);

/// Of the admin listener: scrapes and probes are few.
const ADMIN_WORKERS: usize = 1;

/// Connections of the admin listener at a time.
pub const ADMIN_PLACES: usize = 64;

/// Time for a head on the admin listener, and how long an idle connection is kept there.
const ADMIN_TIME: Duration = Duration::from_secs(5);

/// What the system keeps of answers that a client has not read, beside which a worker's memory is bounded: some hundred answers of the
/// ingress, and one answer of `/metrics`. The system doubles it for its own needs.
const UNREAD_INGRESS: usize = 32 << 10;
const UNREAD_ADMIN: usize = 128 << 10;

/// How long the system offers bytes to a client that has gone without a word.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What long heads, bodies that wait for memory, and unread answers of all connections together may take.
const HELD_INGRESS: usize = 32 << 20;
const HELD_ADMIN: usize = 4 << 20;

/// Answers are gathered up to so many bytes before they are written: a few of them, where requests are pipelined.
const GATHERED: usize = 4 << 10;

/// Whose a listening socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// Ours alone: it closes when the bridge leaves.
    Process,
    /// The service manager's, which keeps it open for the next process.
    ServiceManager,
}

/// A listener at work.
pub struct Running {
    name: &'static str,
    handle: ServerHandle,
    /// Why it is not served any more.
    end: watch::Receiver<Option<String>>,
    socket: Socket,
}

impl Running {
    /// Waits until the listener is served by all its workers.
    ///
    /// # Errors
    /// Why it is not: for want of a thread or of a descriptor, as a rule.
    pub async fn up(&self) -> std::io::Result<()> {
        tokio::select! {
            biased;
            why = self.ended() => Err(std::io::Error::other(why)),
            // Answered once all workers have started.
            () = self.handle.resume() => match &*self.end.borrow() {
                None => Ok(()),
                Some(_) => Err(std::io::Error::other(self.ended().await)),
            },
        }
    }

    /// Waits until nobody serves the listener any more, though it was not stopped; the reason.
    pub async fn ended(&self) -> String {
        let mut end = self.end.clone();
        let why = match end.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "its task was dropped".to_owned(),
        };
        format!("the {} listener cannot be served: {why}", self.name)
    }

    /// Takes no further connections; those accepted are served on.
    ///
    /// A socket of our own closes: who comes now is refused, and can go elsewhere, but nobody who came before is. One that the service
    /// manager keeps stays as it is: who comes now waits in its queue for the next process.
    pub async fn close(&self, keeper: Keeper) {
        if keeper == Keeper::Process {
            self.empty_queue().await;
        }
        self.handle.pause().await;
        // The accepting thread has been told, and takes a moment to obey.
        tokio::time::sleep(PAUSING).await;
        if keeper == Keeper::Process {
            // A listening socket that is merely not read would go on completing handshakes. Where the system does not know this
            // (macOS), it does until the end.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Lets nobody into the listening socket's queue any more, and waits until all who are in it have been accepted.
    async fn empty_queue(&self) {
        const STEP: Duration = Duration::from_millis(1);
        let begun = Instant::now();
        let handshakes = match socket::ignore_newcomers(&self.socket) {
            Ok(()) => HANDSHAKES,
            Err(error) => {
                tracing::debug!("newcomers cannot be ignored while the queue is emptied: {error}");
                Duration::ZERO
            }
        };
        tokio::time::sleep(handshakes).await;
        while socket::has_input(self.socket.as_raw_fd()) && begun.elapsed() < QUEUE_LIMIT {
            tokio::time::sleep(STEP).await;
        }
    }

    /// Ends at once. Who is served orderly is up to the caller, see [`super::connections`].
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

/// Starts the ingress on a bound listener.
pub fn ingress(
    listener: TcpListener,
    ingress: Data<Ingress>,
    settings: &Http,
    opener: Opener,
) -> std::io::Result<Running> {
    // actix counts them per worker.
    let places = settings.max_connections.div_ceil(settings.workers);
    let door = Door {
        name: "ingress",
        connections: ingress.connections.clone(),
        opener,
        limits: Limits {
            head: settings.header_timeout,
            idle: settings.keep_alive,
            places,
            held: HELD_INGRESS / settings.workers,
            cost: meter::Limit::for_bodies(settings.max_body_bytes),
        },
        workers: settings.workers,
        unread: UNREAD_INGRESS,
    };
    let expecting = Data::clone(&ingress);
    door.serve(
        listener,
        move |request| webhook::expect(request, &expecting),
        move || {
            let ingress = Data::clone(&ingress);
            // There is one thing to ask for, so nothing to route.
            fn_service(move |request| {
                let ingress = Data::clone(&ingress);
                async move { Ok::<_, Infallible>(webhook::webhook(request, ingress).await) }
            })
        },
    )
}

/// Starts the admin listener, which serves `places` connections at a time.
pub fn admin(
    listener: TcpListener,
    admin: Data<Admin>,
    rule: Data<Guard>,
    opener: Opener,
    places: usize,
) -> std::io::Result<Running> {
    let door = Door {
        name: "admin",
        connections: Connections::default(),
        opener,
        limits: Limits {
            head: ADMIN_TIME,
            idle: ADMIN_TIME,
            places,
            held: HELD_ADMIN,
            cost: meter::Limit::for_bodies(0),
        },
        workers: ADMIN_WORKERS,
        unread: UNREAD_ADMIN,
    };
    door.serve(listener, Ok, move || {
        App::new()
            .app_data(Data::clone(&admin))
            .app_data(Data::clone(&rule))
            .wrap(from_fn(guard))
            .wrap(from_fn(looked_after))
            .configure(admin::routes)
    })
}

/// Has the request's connection know that it is at work. Nobody waits for a body here.
async fn looked_after(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let busy = connection::busy(request.request().conn_data());
    busy.complete();
    let _metered = meter::metered(request.request().conn_data());
    next.call(request).await
}

thread_local! {
    /// Of the worker whose thread this is.
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

/// How a listener is served.
struct Door {
    name: &'static str,
    connections: Connections,
    opener: Opener,
    limits: Limits,
    workers: usize,
    /// Bytes that the system keeps for a client that does not read.
    unread: usize,
}

impl Door {
    /// Built from the parts that `HttpServer` is made of: it has no place for streams of our own making.
    ///
    /// `welcome` judges the heads of requests that ask first whether their body is welcome.
    fn serve<W, F, A, S, B>(
        self,
        listener: TcpListener,
        welcome: W,
        app: F,
    ) -> std::io::Result<Running>
    where
        W: Fn(Request) -> Result<Request, Box<HttpResponse>> + Send + Clone + 'static,
        F: Fn() -> A + Send + Clone + 'static,
        A: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Response<BoxBody>>,
        S::InitError: Debug,
        S::Response: Into<Response<B>>,
        B: MessageBody + 'static,
    {
        let Self {
            name,
            connections,
            opener,
            limits,
            workers,
            unread,
        } = self;
        let socket = Socket::from(listener.try_clone()?);
        bound_what_is_kept(&socket, unread);
        let (tell, end) = watch::channel(None);
        let words = tell.clone();
        let service = move || {
            // Runs on each worker's thread.
            LAST_WORDS.with(|words_of| {
                let new = || LastWords::new(name, words.clone());
                words_of.borrow_mut().get_or_insert_with(new);
            });
            let welcome = welcome.clone();
            let (opener, connections) = (opener.clone(), connections.clone());
            let open = fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                let stream = opener.open(stream, &connections, limits);
                async move { Ok::<_, DispatchError>((stream, peer)) }
            });
            // Its timers are off: see `connections`.
            let http = HttpService::build()
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(DISCONNECTING)
                .h1_write_buffer_size(GATHERED)
                .expect(fn_service(move |request: Request| {
                    ready(welcome(request).map_err(|refused| *refused))
                }))
                .on_connect_ext(|stream: &Stream, data: &mut Extensions| {
                    data.insert(Rc::clone(stream.connection()));
                })
                .h1(map_config(app(), |()| AppConfig::default()));
            open.and_then(http)
        };
        let server = Server::build()
            .disable_signals()
            .workers(workers)
            .max_concurrent_connections(limits.places)
            .listen(name, listener, service)?
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            let why = why_ended(actix_web::rt::spawn(server).await);
            tell.send_modify(|told| {
                told.get_or_insert(why);
            });
        });
        Ok(Running {
            name,
            handle,
            end,
            socket,
        })
    }
}

/// How a server's task has ended.
fn why_ended(end: Result<std::io::Result<()>, JoinError>) -> String {
    match end {
        Ok(Ok(())) => "it has stopped".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => match error.try_into_panic() {
            // The thread that was to be started has said on standard error what it lacks.
            Ok(panic) => format!(
                "starting its threads failed ({}); threads or open files may be short (ulimit -u, ulimit -n)",
                supervision::said(&*panic)
            ),
            Err(error) => error.to_string(),
        },
    }
}

/// Connections take these over from the listener's socket. Where the system does not allow it, its own bounds hold.
fn bound_what_is_kept(listener: &Socket, unread: usize) {
    let bounded = listener.set_send_buffer_size(unread);
    #[cfg(target_os = "linux")]
    let bounded = bounded.and(listener.set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    if let Err(error) = bounded {
        tracing::debug!("a listener's buffers keep the system's own bounds: {error}");
    }
}
