"""Tokens, which say who may do what, and the sessions of browsers."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api import examples
from api.access import COOKIE, Access, Asker, access, allowed
from api.bodies import JSONRoute, strictly
from api.history import Rows
from api.journal import audit
from api.problems import TAKES_BODY, WRITES, Problem, documented
from nas.tokens import Scope, Token, TokenRequest

SESSION_SECONDS = 12 * 3600.0
NOT_KNOWN = "this token is not known here: `nas token create` makes one"

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=JSONRoute)
session = APIRouter(prefix="/session", tags=["session"], route_class=JSONRoute)
Known = Annotated[Access, Depends(access)]


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Every token that was made and not revoked."""

    tokens: tuple[Token, ...]
    """The tokens."""


@dataclass(frozen=True, kw_only=True)
class NewToken(Token):
    """A token as it was made."""

    token: str
    """The text that its owner sends; it is told this once."""


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Who wants to sign in."""

    token: str
    """A token, whole."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in, and for what."""

    LIKE: ClassVar[tuple[type, ...]] = (Token,)

    owner: str
    scope: Scope
    login: bool
    """Whether this service asks anybody to sign in."""
    expires_at: float | None


@router.get("", summary="List tokens", responses=documented())
def list_tokens(store: Rows) -> Tokens:
    """Without their secrets, which nobody can read again."""
    return Tokens(tokens=tuple(store.tokens.all()))


@router.post("", status_code=201, summary="Make a token", responses=documented(**TAKES_BODY))
def create_token(
    new: Annotated[TokenRequest, strictly(TokenRequest), Body(openapi_examples=examples.TOKENS)],
    store: Rows,
    asker: Asker,
) -> NewToken:
    """Its secret is in this answer and nowhere else."""
    token, text = store.tokens.create(new.owner, new.scope, new.days)
    audit(f"token {token.id} made for {token.owner}, of scope {token.scope}", asker)
    return NewToken(**vars(token), token=text)


@router.delete(
    "/{token}",
    status_code=204,
    summary="Revoke a token",
    responses=documented(**WRITES, _404="no token '0a1b2c3d4e5f': `nas token list` shows them"),
)
def revoke_token(
    token: Annotated[str, Path(description="the id that its creation answered with")],
    store: Rows,
    known: Known,
    asker: Asker,
) -> None:
    """With every session that began with it. Other processes of this service may take it for five more seconds."""
    store.tokens.revoke(token)
    known.forget()
    audit(f"token {token} revoked", asker)


@session.post("", summary="Sign in", responses=documented(**TAKES_BODY, _401=NOT_KNOWN))
def sign_in(
    wanted: Annotated[SignIn, strictly(SignIn), Body(openapi_examples=examples.SIGN_IN)],
    request: Request,
    response: Response,
    store: Rows,
    known: Known,
) -> Session:
    """For a browser: the answer's cookie is its session, for twelve hours."""
    token = known.token(wanted.token.strip())
    if token is None or not token.id:
        raise Problem(401, NOT_KNOWN, headers={"WWW-Authenticate": "Bearer"})
    request.state.owner = token.owner
    session_token, text = store.tokens.sign_in(token, SESSION_SECONDS)
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(SESSION_SECONDS),
        path=known.edge.prefix or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return _session(session_token, known)


@session.get("", summary="Who is signed in", responses=documented())
def get_session(token: Annotated[Token, Depends(allowed)], known: Known) -> Session:
    """Answered with 401 where nobody is."""
    return _session(token, known)


@session.delete("", status_code=204, summary="Sign out", responses=documented(**WRITES))
def sign_out(token: Annotated[Token, Depends(allowed)], response: Response, store: Rows, known: Known) -> None:
    """The session ends; a token that was sent as such stays."""
    if token.session:
        store.tokens.revoke(token.id)
        known.forget()
    response.delete_cookie(COOKIE, path=known.edge.prefix or "/", httponly=True, samesite="strict")


def _session(token: Token, known: Access) -> Session:
    return Session(owner=token.owner, scope=token.scope, login=known.edge.login, expires_at=token.expires_at)
