//! The limit: a bare hyper server that answers the bytes it was given, whatever is asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use tokio::runtime::Runtime;

/// What a bare server answers to requests of a method.
pub(crate) type Answers = Vec<(String, raw_http::Response)>;

/// The answers as they are sent, by method.
type Prepared = RwLock<Vec<(String, Response<Bytes>)>>;

/// A running bare server with two threads, as the others have two workers.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    answers: Arc<Prepared>,
    _runtime: Runtime,
}

impl Bare {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let answers = Arc::default();
        runtime.spawn(serve(listener, Arc::clone(&answers)));
        Ok(Self {
            address,
            answers,
            _runtime: runtime,
        })
    }

    /// Has every answer be the one of its method.
    pub(crate) fn answer(&self, answers: &Answers) -> io::Result<()> {
        let answers: Result<Vec<_>, _> = answers
            .iter()
            .map(|(method, answer)| {
                let mut response = Response::builder().status(answer.status);
                for (name, value) in &answer.headers {
                    // hyper writes these itself.
                    let framing = ["connection", "transfer-encoding", "date", "content-length"];
                    if !framing.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                        response = response.header(name, value);
                    }
                }
                let body = Bytes::from(answer.body.clone());
                Ok((method.clone(), response.body(body)?))
            })
            .collect();
        let answers = answers.map_err(|error: hyper::http::Error| io::Error::other(error))?;
        *self.answers.write().unwrap_or_else(|e| e.into_inner()) = answers;
        Ok(())
    }
}

async fn serve(listener: std::net::TcpListener, answers: Arc<Prepared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((socket, _)) = listener.accept().await {
        // As the others do.
        let _ = socket.set_nodelay(true);
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answers = Arc::clone(&answers);
                async move {
                    let (parts, body) = request.into_parts();
                    // A client that breaks off is gone for the answer as well.
                    let _ = body.collect().await;
                    Ok::<_, Infallible>(find(&answers, parts.method.as_str()))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            let _ = connection.await;
        });
    }
}

fn find(answers: &Prepared, method: &str) -> Response<Full<Bytes>> {
    let answers = answers.read().unwrap_or_else(|e| e.into_inner());
    match answers.iter().find(|(of, _)| of == method) {
        Some((_, response)) => response.clone().map(Full::new),
        None => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response
        }
    }
}
