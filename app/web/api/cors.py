"""CORS for shop pages that make claims from a browser."""

from flask import Response, request

from app.web.context import service

_READ = ("Content-Type", "Authorization")
# Monitoring scripts add these headers to every call of a page. If one of them is not allowed, the
# browser does not send the call. We read none of them.
_TRACING = (
    # https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
    *("traceparent", "tracestate", "baggage"),
    # https://github.com/openzipkin/b3-propagation
    *("b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags"),
    # https://docs.sentry.io/platforms/javascript/tracing/trace-propagation/
    "sentry-trace",
    # https://docs.datadoghq.com/real_user_monitoring/correlate_with_other_telemetry/apm/
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin"),
    *("x-datadog-sampling-priority", "x-datadog-tags"),
    # https://docs.newrelic.com/docs/distributed-tracing/concepts/how-new-relic-distributed-tracing-works/
    "newrelic",
    # https://www.elastic.co/guide/en/apm/agent/rum-js/current/distributed-tracing-guide.html
    "elastic-apm-traceparent",
    # https://learn.microsoft.com/en-us/azure/azure-monitor/app/distributed-trace-data
    *("Request-Id", "Request-Context"),
    # https://www.jaegertracing.io/docs/1.22/client-libraries/
    "uber-trace-id",
    # https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    "X-Amzn-Trace-Id",
    "X-Cloud-Trace-Context",
    *("X-Request-Id", "X-Correlation-Id"),
)


def preflight_answer() -> Response:
    """Answer a CORS preflight. A browser sends no claim from an origin that is not allowed."""
    allowed = (*_READ, *_TRACING, *service().configuration.web.cors_headers)
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": ", ".join(allowed),
        "Access-Control-Max-Age": "600",
    }
    return Response(status=204, headers=headers)


def let_origin_read(response: Response) -> Response:
    """Allow a configured origin to read every response about claims.

    This includes errors from any part of the service: without the header a page cannot read them.
    """
    if not _is_about_claims(request.path):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin in service().configuration.web.cors_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    return response


def _is_about_claims(path: str) -> bool:
    return f"{path}/".startswith("/v1/claims/")
