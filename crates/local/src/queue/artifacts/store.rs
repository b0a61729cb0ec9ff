//! `PUT` and `GET` of bytes, by URLs that `createArtifact` and `getArtifact` answer.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};

use super::{Artifact, blobs, not_found, urls};
use crate::Ctx;
use crate::http::{ApiError, Call, ErrorCode, Reply};

pub(in crate::queue) async fn put_bytes(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let artifact = named(ctx, call).await?;
    let Some(blob) = artifact.blob.clone() else { return Err(not_found()) };
    urls::check(call, "PUT", &blob, ctx.now())?;
    if header(call, CONTENT_TYPE).as_deref() != Some(artifact.content_type.as_str()) {
        let message = format!("The Content-Type must be {}.", artifact.content_type);
        return Err(ApiError::new(ErrorCode::InsufficientScopes, message));
    }
    let encoding = header(call, CONTENT_ENCODING);
    let directory = blobs::directory(ctx);
    let file = blobs::write(&directory, call.take_stream()).await?;
    let stored = file.clone();
    let replaced = ctx.store.write(move |tx| {
        let mut artifact = Artifact::by_blob(tx, &blob.0)?.ok_or_else(not_found)?;
        let old = artifact.file.replace(stored);
        artifact.encoding = encoding;
        artifact.update(tx)?;
        Ok::<_, ApiError>(old)
    });
    match replaced.await {
        Ok(old) => {
            if let Some(old) = old {
                blobs::remove(&directory, &old).await;
            }
            Ok(Reply::bytes("text/html; charset=utf-8", ""))
        }
        Err(error) => {
            blobs::remove(&directory, &file).await;
            Err(error)
        }
    }
}

pub(in crate::queue) async fn get_bytes(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let artifact = named(ctx, call).await?;
    let Some(blob) = &artifact.blob else { return Err(not_found()) };
    if !artifact.is_public() {
        urls::check(call, "GET", blob, ctx.now())?;
    }
    let absent = || ApiError::not_found("Nothing was uploaded for this artifact.");
    let file = artifact.file.as_ref().ok_or_else(absent)?;
    let (body, size) = blobs::read(&blobs::directory(ctx), file).await?;
    // An artifact is somebody else's page: it must not act as ours.
    let mut reply = Reply::bytes("application/octet-stream", body)
        .with_header(CONTENT_LENGTH, &size.to_string())?
        .with_header(CONTENT_SECURITY_POLICY, "sandbox allow-scripts")?;
    for (name, value) in [(CONTENT_TYPE, Some(&artifact.content_type)), (CONTENT_ENCODING, artifact.encoding.as_ref())]
    {
        if let Some(value) = value.filter(|value| HeaderValue::from_str(value).is_ok()) {
            reply = reply.with_header(name, value)?;
        }
    }
    Ok(reply)
}

async fn named(ctx: &Arc<Ctx>, call: &Call) -> Result<Artifact, ApiError> {
    let blob = call.param("blob").to_owned();
    ctx.store.read(move |tx| Artifact::by_blob(tx, &blob)).await?.ok_or_else(not_found)
}

fn header(call: &Call, name: HeaderName) -> Option<String> {
    call.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
