// Uses the API through types made from its document. Whatever is not as promised ends it with an error.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string | undefined> };

type Attempt = components["schemas"]["Attempt"];
type Problem = components["schemas"]["Problem"];

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function clientFor(token?: string) {
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  return createClient<paths>({ baseUrl: given("VOUCH_URL"), headers });
}

function expect(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)} instead of ${String(wanted)}`);
}

function kind(problem: Problem | undefined): string {
  return problem?.type ?? "no problem";
}

function only<T>(items: T[]): T {
  const [first] = items;
  if (first === undefined) throw new Error("there is none");
  return first;
}

const anybody = clientFor();
const backend = clientFor(given("VOUCH_BACKEND_KEY"));
const viewer = clientFor(given("VOUCH_VIEWER_KEY"));
const operator = clientFor(given("VOUCH_OPERATOR_KEY"));
const admin = clientFor(given("VOUCH_ADMIN_KEY"));
const customerId = "customer-typescript";

// A backend mints a token, and the page of the shop makes the claim.
const minted = await backend.POST("/v1/claim-tokens", {
  body: { customerId, challengeId: Number(given("VOUCH_CHALLENGE_ID")) },
});
if (!minted.data) throw new Error(minted.error.detail);
expect("the spelling of times", /\.\d{6}Z$/.test(minted.data.expiresAt), true);
const claim = await anybody.POST("/v1/claims", { body: { token: minted.data.token } });
if (!claim.data) throw new Error(claim.error.detail);
const { attemptId } = claim.data;
const claimPath = { params: { path: { attemptId } } };
const claimed = await clientFor(minted.data.token).GET("/v1/claims/{attemptId}", claimPath);
expect("the claim", claimed.data?.attemptId, attemptId);

// It links an account and unlinks it again.
const account = { platform: given("VOUCH_PLATFORM"), accountId: "type/script" };
const path = "/v1/identities/{platform}/{accountId}";
const linked = await backend.PUT(path, { params: { path: account }, body: { customerId } });
expect("the linked account", linked.data?.accountId, account.accountId);
const unlinked = await backend.DELETE(path, { params: { path: account } });
expect("the status of unlinking", unlinked.response.status, 204);

// A viewer reads, by several states and page by page.
const query = { state: ["unlinked", "granted", "accepted", "due"] as Attempt["state"][], limit: 1 };
const first = await viewer.GET("/v1/attempts", { params: { query } });
if (!first.data) throw new Error(first.error.detail);
const cursor = first.data.nextCursor;
if (cursor === null) throw new Error("there is no second page");
const second = await viewer.GET("/v1/attempts", { params: { query: { ...query, cursor } } });
expect("the second page is another", second.data?.items[0]?.id === first.data.items[0]?.id, false);
const whole = await viewer.GET("/v1/attempts/{attemptId}", { params: { path: { attemptId } } });
expect("the customer", whole.data?.customerId, customerId);
const stats = await viewer.GET("/v1/stats", { params: { query: { by: ["state", "source"] } } });
expect("what was not counted by", stats.data?.items[0]?.challengeId, null);
const events = await viewer.GET("/v1/events", { params: { query: { matched: true } } });
expect("the event's payload is not listed", "payload" in only(events.data?.items ?? []), false);
const alerts = await viewer.GET("/v1/alerts");
expect("the alerts", alerts.data?.items.every((one) => one.text.length > 0), true);
const file = await viewer.GET("/v1/attempts/export", {
  params: { query: { format: "csv" } },
  parseAs: "text",
});
expect("the file", file.data?.startsWith("id,state,"), true);

// What a role may not do is answered as a problem.
const audit = { params: { query: { change: ["attempt.cancelled" as const] } } };
const forbidden = await viewer.GET("/v1/audit", audit);
expect("a viewer's audit", kind(forbidden.error), "/docs#forbidden");
const stranger = await anybody.GET("/v1/attempts");
expect("a stranger's attempts", kind(stranger.error), "/docs#unauthenticated");

// An operator cancels one that nobody is linked to, and counts the dead.
const found = await operator.GET("/v1/attempts", {
  params: { query: { accountId: given("VOUCH_ACCOUNT_ID") } },
});
const cancelPath = { params: { path: { attemptId: only(found.data?.items ?? []).id } } };
const cancelled = await operator.POST("/v1/attempts/{attemptId}/cancel", cancelPath);
expect("the cancelled attempt", cancelled.data?.state, "withdrawn");
const replayed = await operator.POST("/v1/attempts/{attemptId}/replay", cancelPath);
expect("what cannot be replayed", kind(replayed.error), "/docs#state");
const entries = await operator.GET("/v1/audit", audit);
expect("the audit's entry", entries.data?.items[0]?.subject, cancelPath.params.path.attemptId);
const counted = await operator.POST("/v1/attempts/replay", {
  body: { state: ["dead", "unconfirmed"], customerId: "nobody", dryRun: true },
});
if (!counted.data || !("byState" in counted.data)) throw new Error("a dry run began a job");
expect("the dead", counted.data.matched, 0);

// An admin has the customer forgotten.
const forgotten = await admin.DELETE("/v1/customers/{customerId}", {
  params: { path: { customerId } },
});
expect("the attempts that name nobody now", forgotten.data?.attempts, 1);

const document = await anybody.GET("/openapi.json");
expect("the document", document.data?.["openapi"], "3.1.0");
console.log("as promised");
