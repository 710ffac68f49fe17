//! Page after page of a listing, as one body or as a stream of chunks.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, Error, ListObjects,
    ListingQuery, Result,
};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::BodyExt;
use swift_conf::Policies;

use super::sheet::{ContainerWriter, ObjectWriter, Root, Sheet};
use crate::accept::Choice;
use crate::body::{self, Response};
use crate::response;

/// A listing up to this size is sent whole, with its length.
const FIRST_PAGE_BYTES: usize = 4 << 20;
/// For so many rows there is room from the beginning.
const FEW_ROWS: usize = 128;
/// What a row usually takes at most.
const USUAL_ROW_BYTES: usize = 192;
/// The size of further pages, which a slow client may hold for long.
const NEXT_PAGE_BYTES: usize = 1 << 20;

/// Something that writes rows to a sheet.
pub(crate) trait Lister: Send + 'static {
    /// Writes the entries of a query until they end or the sheet is full.
    fn list(
        &mut self,
        names: &ListingQuery,
        sheet: Sheet,
    ) -> impl Future<Output = Result<Sheet>> + Send;
}

/// Lists the containers of an account.
#[derive(Debug)]
pub(crate) struct AccountLister {
    /// The account.
    pub(crate) broker: Arc<dyn AccountBroker>,
    /// The policies whose names are shown.
    pub(crate) policies: Arc<Policies>,
}

impl Lister for AccountLister {
    async fn list(&mut self, names: &ListingQuery, sheet: Sheet) -> Result<Sheet> {
        let policies = Arc::clone(&self.policies);
        let writer = ContainerWriter { sheet, policies };
        let writer = self.broker.visit_containers(names, writer).await?;
        Ok(writer.sheet)
    }
}

/// Lists the objects of a container.
#[derive(Debug)]
pub(crate) struct ObjectLister {
    /// The container.
    pub(crate) broker: Arc<dyn ContainerBroker>,
    /// Which rows; its names are replaced page by page.
    pub(crate) query: ListObjects,
}

impl Lister for ObjectLister {
    async fn list(&mut self, names: &ListingQuery, sheet: Sheet) -> Result<Sheet> {
        self.query.names.clone_from(names);
        let writer = ObjectWriter(sheet);
        Ok(self.broker.visit_objects(&self.query, writer).await?.0)
    }
}

/// A listing on its way to a client.
#[derive(Debug)]
pub(crate) struct Listing<L> {
    lister: L,
    names: ListingQuery,
    limit: usize,
    choice: Choice,
    root: Root,
}

impl<L: Lister> Listing<L> {
    /// Prepares a listing; nothing is read yet.
    pub(crate) fn new(lister: L, names: ListingQuery, choice: Choice, root: Root) -> Self {
        Self {
            lister,
            limit: names.limit,
            names,
            choice,
            root,
        }
    }

    /// Reads the first page and makes the response of it: 200, or 204 when it is empty text.
    pub(crate) async fn respond(mut self) -> Result<Response> {
        let content_type = self.choice.content_type();
        let mut sheet = Sheet::new(self.choice, self.root.clone(), FIRST_PAGE_BYTES);
        sheet
            .bytes
            .reserve(self.limit.min(FEW_ROWS) * USUAL_ROW_BYTES);
        let (first, rest) = self.page(sheet).await?;
        let mut response = match rest {
            None => whole(first),
            Some(sheet) => Response::new(PageStream::new(first, self, sheet).boxed_unsync()),
        };
        response::set(&mut response, CONTENT_TYPE, content_type);
        Ok(response)
    }

    /// Writes one page; returns its bytes, and the sheet for the next one when there is more.
    async fn page(&mut self, sheet: Sheet) -> Result<(Bytes, Option<Sheet>)> {
        let mut sheet = self.lister.list(&self.names, sheet).await?;
        if let Some(error) = sheet.error.take() {
            return Err(error);
        }
        let left = self.limit.saturating_sub(sheet.shown);
        // An empty name would be no marker; it sorts first, so it cannot be where a full page ends.
        let last = sheet
            .last
            .take()
            .filter(|name| left > 0 && !name.is_empty());
        let Some(last) = last else {
            sheet.finish();
            return Ok((sheet.take_page(), None));
        };
        self.names.marker = last;
        self.names.limit = left;
        let bytes = sheet.take_page();
        sheet.most_bytes = NEXT_PAGE_BYTES;
        Ok((bytes, Some(sheet)))
    }
}

fn whole(content: Bytes) -> Response {
    let length = content.len();
    let mut response = Response::new(body::full(content));
    match length {
        0 => *response.status_mut() = StatusCode::NO_CONTENT,
        length => response::set_number(&mut response, CONTENT_LENGTH, length),
    }
    response
}

type NextPage<L> = (Listing<L>, Result<(Bytes, Option<Sheet>)>);

/// A body that asks for the next page when the one before is taken.
struct PageStream<L> {
    ready: Option<Bytes>,
    next: Next<L>,
}

enum Next<L> {
    /// The next page is not asked for yet.
    Waiting(Box<(Listing<L>, Sheet)>),
    /// It is being read.
    Reading(Pin<Box<dyn Future<Output = NextPage<L>> + Send>>),
    /// There is none.
    Done,
}

impl<L> PageStream<L> {
    fn new(first: Bytes, listing: Listing<L>, sheet: Sheet) -> Self {
        Self {
            ready: Some(first),
            next: Next::Waiting(Box::new((listing, sheet))),
        }
    }
}

// Nothing in it is pinned in place: the future has a box of its own.
impl<L> Unpin for PageStream<L> {}

impl<L: Lister> http_body::Body for PageStream<L> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, io::Error>>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(Ok(Frame::data(ready))));
        }
        let next = std::mem::replace(&mut self.next, Next::Done);
        let mut reading: Pin<Box<dyn Future<Output = NextPage<L>> + Send>> = match next {
            Next::Done => return Poll::Ready(None),
            Next::Waiting(waiting) => Box::pin(read(*waiting)),
            Next::Reading(reading) => reading,
        };
        let Poll::Ready((listing, page)) = reading.as_mut().poll(context) else {
            self.next = Next::Reading(reading);
            return Poll::Pending;
        };
        let (bytes, sheet) = match page {
            Ok(page) => page,
            Err(error) => return Poll::Ready(Some(Err(broken(&error)))),
        };
        if let Some(sheet) = sheet {
            self.next = Next::Waiting(Box::new((listing, sheet)));
        }
        Poll::Ready(match bytes.is_empty() {
            true => None,
            false => Some(Ok(Frame::data(bytes))),
        })
    }
}

async fn read<L: Lister>((mut listing, sheet): (Listing<L>, Sheet)) -> NextPage<L> {
    let page = listing.page(sheet).await;
    (listing, page)
}

fn broken(error: &Error) -> io::Error {
    tracing::error!(%error, "a listing broke off");
    io::Error::other(error.to_string())
}
