"""The application: one model as a page for people and as an interface for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from eanet.deploy.predictor import Predictor
from eanet.deploy.server.guard import Guard
from eanet.deploy.server.pages import documentation_page, front_page
from eanet.deploy.server.schema import Answers, Card, Health, NoAnswers, Problem, form_of
from eanet.deploy.server.service import Explain, Service
from eanet.deploy.server.settings import AppSettings, RefusedError
from eanet.errors import EanetError
from eanet.version import __version__

_REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"model": Problem, "description": "The files did not arrive in time"},
    413: {"model": Problem, "description": "Too many or too large files"},
    503: {"model": Problem, "description": "Too many others are waiting"},
}


def create_app(
    predictor: Predictor,
    settings: AppSettings,
    *,
    explain: Explain | None = None,
    metrics: Mapping[str, float] | None = None,
) -> FastAPI:
    """Make an application that answers with one model, to be served or mounted in another.

    Args:
        predictor: the model.
        settings: of the application; device and precision are the predictor's.
        explain: draws what an answer rests on; unless given, the server does not explain.
        metrics: of the model, to show in its card.

    Raises:
        EanetError: the model's outputs are not finite.
    """
    service = Service(predictor, settings, explain)
    card = service.card(metrics)
    app = FastAPI(
        title=f"eanet: {card.name}",
        version=__version__,
        description=f"Classifies images as one of {len(card.classes)} classes.",
        docs_url=None,  # it would load the newest script of another host
        redoc_url=None,
    )
    _add_pages(app, card, explains=explain is not None)
    _add_interface(app, service, card)
    if explain is not None:
        _add_explanations(app, service)
    _add_problems(app)
    if settings.allow_origin:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.allow_origin, allow_methods=["GET", "POST"]
        )
    app.add_middleware(Guard, hosts=settings.hosts, origins=settings.allow_origin)
    return app


def _add_pages(app: FastAPI, card: Card, *, explains: bool) -> None:
    front, documentation = front_page(card, explains=explains), documentation_page(app.title)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(front.text, headers={"content-security-policy": front.policy})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        policy = {"content-security-policy": documentation.policy}
        return HTMLResponse(documentation.text, headers=policy)


def _add_interface(app: FastAPI, service: Service, card: Card) -> None:
    @app.post(
        "/predict",
        summary="Classify images",
        response_model=Answers,
        response_model_exclude_none=True,
        responses={**_REFUSALS, 422: {"model": NoAnswers, "description": "No image among them"}},
        openapi_extra=form_of("files", several=True),
    )
    async def predict(request: Request, top: Annotated[int, Query(ge=1)] = 5) -> Response:
        """Answer for each file in order; one that is no image gets an error in its place."""
        results = await service.predict(request, top)
        body = {
            "results": [answer.model_dump(by_alias=True, exclude_none=True) for answer in results]
        }
        if all(answer.error for answer in results):
            return JSONResponse({"detail": results[0].error, **body}, 422)
        return JSONResponse(body)

    @app.get("/model", summary="Describe the model")
    async def model() -> Card:
        """Tell architecture, classes and figures, and what the server takes."""
        return card

    @app.get("/health", summary="Say that the server works")
    async def health() -> Health:
        """Tell also how many requests wait."""
        return Health(waiting=service.waiting)


def _add_explanations(app: FastAPI, service: Service) -> None:
    @app.post(
        "/explain",
        summary="Draw what an answer rests on",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}, "description": "The picture"},
            **_REFUSALS,
            422: {"model": Problem, "description": "Not an image, or no such class"},
        },
        openapi_extra=form_of("file", several=False),
    )
    async def explain(
        request: Request, class_name: Annotated[str | None, Query(alias="class")] = None
    ) -> Response:
        """Draw it for the most probable class, or for another one."""
        return Response(await service.explain(request, class_name), media_type="image/png")


def _add_problems(app: FastAPI) -> None:
    """Answer every problem with one sentence."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        wait = {"retry-after": "1"} if error.status == 503 else None
        return JSONResponse({"detail": error.reason}, error.status, wait)

    @app.exception_handler(EanetError)
    async def failed(request: Request, error: EanetError) -> Response:
        return JSONResponse({"detail": str(error)}, 500)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        reason = f"{first['loc'][-1]}: {first['msg'].lower().removeprefix('input ')}."
        return JSONResponse({"detail": reason}, 422)

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it
