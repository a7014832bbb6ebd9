"""Tokens in the database: rows to records, one short transaction a method."""

from collections.abc import Callable

from sqlalchemy import Row, delete, func, insert, or_, select

from nas.store.database import Database
from nas.store.errors import NotFound
from nas.store.tables import TOKEN
from nas.tokens import Scope, Token, drawn, parts, same

DAY_SECONDS = 86_400.0


class Tokens:
    """Those that were made and not revoked.

    Promises:
    - No secret is kept, so none can be read here or in a backup.
    - One that is revoked or has expired is found by nobody, and neither is a session that began with it.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def create(self, owner: str, scope: Scope, days: float | None = None) -> tuple[Token, str]:
        """A new token, and the text that its owner uses."""
        return self._add(owner, scope, None if days is None else self._clock() + days * DAY_SECONDS, None)

    def sign_in(self, token: Token, seconds: float) -> tuple[Token, str]:
        """A session of the token's owner, which ends with the token at the latest."""
        ends = self._clock() + seconds
        expires_at = ends if token.expires_at is None else min(ends, token.expires_at)
        return self._add(token.owner, token.scope, expires_at, token.session or token.id)

    def find(self, text: str) -> Token | None:
        """The token that this is; None where there is none, or none any more."""
        known = parts(text)
        if known is None:
            return None
        name, secret = known
        with self._database.reading() as connection:
            row = connection.execute(select(TOKEN).where(TOKEN.c.id == name)).one_or_none()
        if row is None or not same(secret, row.digest):
            return None
        return None if row.expires_at is not None and row.expires_at <= self._clock() else _token(row)

    def any(self) -> bool:
        """Whether there has been one: otherwise nobody can sign in."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(TOKEN).where(TOKEN.c.session.is_(None))) != 0

    def all(self) -> list[Token]:
        """Every token, oldest first; sessions are not among them."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(TOKEN).where(TOKEN.c.session.is_(None)).order_by(TOKEN.c.created_at, TOKEN.c.id)
            ).all()
        return [_token(row) for row in rows]

    def revoke(self, token: str) -> None:
        """End a token with every session that began with it, or one session. Raises NotFound."""
        with self._database.writing() as connection:
            if (
                connection.execute(delete(TOKEN).where(or_(TOKEN.c.id == token, TOKEN.c.session == token))).rowcount
                == 0
            ):
                raise NotFound(f"no token {token[:80]!r}: `nas token list` shows them")

    def _add(self, owner: str, scope: Scope, expires_at: float | None, session: str | None) -> tuple[Token, str]:
        name, text, kept = drawn()
        now = self._clock()
        token = Token(id=name, owner=owner, scope=scope, created_at=now, expires_at=expires_at, session=session)
        with self._database.writing() as connection:
            connection.execute(delete(TOKEN).where(TOKEN.c.session.is_not(None), TOKEN.c.expires_at <= now))
            connection.execute(insert(TOKEN).values(**vars(token), digest=kept))
        return token, text


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(**{name: value for name, value in row._mapping.items() if name != "digest"})
