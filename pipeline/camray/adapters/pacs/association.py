"""Opening of DICOM associations, and the errors for those that are rejected or interrupted."""

from collections.abc import Sequence
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from camray.adapters.pacs.ae_address import AEAddress
from camray.adapters.pacs.credentials import PASSWORD, TOKEN, USER, Credentials
from camray.domain.errors import AuthenticationError, PeerError, UnreachableError

NOT_AUTHORIZED = 0x0124  # status of a DIMSE response, PS3.7 annex C
_REJECTED_TRANSIENT, _PRESENTATION_PROVIDER = 2, 3  # result and source of A-ASSOCIATE-RJ, PS3.8 section 9.3.4
_USERNAME, _USERNAME_AND_PASSWORD, _JSON_WEB_TOKEN = 1, 2, 5  # types of user identity, PS3.7 section D.3.3.7


def associate(
    peer: AEAddress, credentials: Credentials, contexts: list[Any], roles: Sequence[Any] = (), handlers: Any = None
) -> Association:
    """Open an association.

    Raises
    ------
    UnreachableError
        If there is no connection, or the other side is busy.
    AuthenticationError
        If the other side rejects the titles or the user.
    """
    ae = AE(ae_title=peer.calling_aet)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = credentials.timeout_s
    association = ae.associate(
        peer.host,
        peer.port,
        contexts=contexts,
        ae_title=peer.aet,
        ext_neg=[*roles, *_user_identity(credentials)] or None,
        tls_args=(credentials.tls_context(), peer.host) if credentials.is_tls else None,
        evt_handlers=handlers,
    )
    if association.is_established:
        return association
    if association.is_rejected:
        raise _rejection(peer, credentials, association.acceptor.primitive)
    raise broken(peer)


def broken(peer: AEAddress) -> UnreachableError:
    """Return the error for an association that did not open, or was interrupted."""
    return UnreachableError(f"{peer}: no connection, or it was interrupted; check host, port and --tls")


def not_authorized(peer: AEAddress, service: str) -> AuthenticationError:
    """Return the error for a request that ended with the status `NOT_AUTHORIZED`."""
    return AuthenticationError(
        f"{peer}: {service} is not authorized (0x{NOT_AUTHORIZED:04X}); check {USER} and {PASSWORD}, or {TOKEN}, and "
        "--aet"
    )


def _rejection(peer: AEAddress, credentials: Credentials, reply: Any) -> PeerError:
    """Return the error for a rejected association: congestion passes, rejected titles or users do not.

    Servers reject a user identity in different ways, some as a transient rejection. So if an identity was sent, every
    rejection that is not congestion counts as a rejected identity.
    """
    result, source = getattr(reply, "result", None), getattr(reply, "result_source", None)
    if source == _PRESENTATION_PROVIDER:
        return UnreachableError(f"{peer}: association rejected; the other side is busy")
    if credentials.has_secret:
        return AuthenticationError(
            f"{peer}: association rejected; check {USER} and {PASSWORD}, or {TOKEN}, and both application entity titles"
        )
    if result == _REJECTED_TRANSIENT:
        return UnreachableError(f"{peer}: association rejected for now")
    return AuthenticationError(
        f"{peer}: association rejected; check both application entity titles: {peer.aet} there, {peer.calling_aet} "
        "here (--aet)"
    )


def _user_identity(credentials: Credentials) -> list[Any]:
    if not credentials.has_secret:
        return []
    identity = UserIdentityNegotiation()
    if credentials.token:
        identity.user_identity_type, identity.primary_field = _JSON_WEB_TOKEN, credentials.token.encode()
    else:
        identity.user_identity_type = _USERNAME_AND_PASSWORD if credentials.password else _USERNAME
        identity.primary_field = credentials.user.encode()
        if credentials.password:
            identity.secondary_field = credentials.password.encode()
    return [identity]
