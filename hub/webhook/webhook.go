package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// MaxBody is the largest payload in bytes.
const MaxBody = 1 << 20

// readTimeout ends senders that trickle.
const readTimeout = 10 * time.Second

// Options of a Handler.
type Options struct {
	// Secrets that senders prove themselves with; nil for none. Of a provider
	// that has none, events are taken from anybody.
	Secrets *Secrets
	// Known are the repositories under watch.
	Known func() []string
	// Poke asks for a look at one of them. It does not block.
	Poke func(repoURL string)
	// PokeIn is called in place of Poke when it is set, with the request's context
	// for the trace that it is in: the request may have ended by then.
	PokeIn func(ctx context.Context, repoURL string)
	// Audit has records of what came; nil: nobody keeps any. It must not block.
	Audit func(fleet.AuditEntry)
	// Log may be nil.
	Log *slog.Logger
	// Now may be nil for the system's clock.
	Now func() time.Time
}

// Answer is the body of a 202.
type Answer struct {
	// Poked is how many repositories are looked at now. Which they are is not
	// said: the sender need not know what is under watch.
	Poked int `json:"poked"`
	// Ignored says why nothing was done with an event.
	Ignored string `json:"ignored,omitempty"`
}

// Handler serves POST of push events: 202 with what was poked, also when that
// is nothing; 200 for a ping; problem documents otherwise.
func Handler(opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &handler{opts: opts, limits: newLimits(), pace: newPacer(opts.poke())}
}

func (o Options) poke() func(context.Context, string) {
	if o.PokeIn != nil {
		return o.PokeIn
	}
	return func(_ context.Context, repoURL string) { o.Poke(repoURL) }
}

type handler struct {
	opts   Options
	limits *limits
	pace   *pacer
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, status, err := h.serve(w, r)
	h.audit(w, r, answer, err)
	if err != nil {
		h.refuse(w, status, err)
		return
	}
	h.write(w, status, "application/json", answer)
}

// audit has a record of an event that caused something, or was refused. It causes a
// look at Git and no more, so the record follows it.
func (h *handler) audit(w http.ResponseWriter, r *http.Request, answer Answer, err error) {
	if h.opts.Audit == nil || err == nil && answer.Poked == 0 {
		return
	}
	p := providerOf(r.Header)
	e := fleet.AuditEntry{Stranger: len(h.opts.Secrets.of(p)) == 0, Record: audit.Record{
		Kind: audit.Command, Action: "receiveWebhook", Verb: "refresh", Resource: "repositories", Outcome: audit.Done, Status: http.StatusAccepted,
		Actor: "webhook of " + p.name, From: sender(r), Request: w.Header().Get("X-Request-Id"),
		Reason: strconv.Itoa(answer.Poked) + " repositories are looked at",
	}}
	if err != nil {
		f := fault.As(err)
		e.Record.Kind, e.Record.Outcome, e.Record.Code, e.Record.Status, e.Record.Reason = audit.Refusal, audit.Denied, f.Code, f.Kind.HTTPStatus(), ""
		e.Record.Actor = "" // who it was is not proven
	}
	h.opts.Audit(e)
}

// serve does one request. A status with an error replaces that of the error's
// kind.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) (Answer, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Answer{}, http.StatusMethodNotAllowed, fault.New(fault.Invalid, "method_not_allowed", "send events with POST")
	}
	if wait := h.limits.take(sender(r), h.opts.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return Answer{}, 0, fault.New(fault.RateLimited, "rate_limited", "too many events; one address may send %d a second, all together %d", addressRate, requestRate).
			WithFix("send fewer; nothing is lost, repositories are also polled")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return Answer{}, http.StatusUnsupportedMediaType, fault.New(fault.Invalid, "unsupported_media_type", "send the payload without Content-Encoding")
	}
	// A writer that is no connection has no deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return Answer{}, 0, fault.New(fault.TooLarge, "body_too_large", "the payload is larger than 1 MiB").
				WithFix("push less at once; nothing is lost, repositories are also polled")
		}
		return Answer{}, 0, fault.Wrap(err, fault.Invalid, "body_unreadable", "the payload ended too early")
	}
	p := providerOf(r.Header)
	// Before anything in the payload is looked at.
	if secrets := h.opts.Secrets.of(p); len(secrets) > 0 && !proven(p, r.Header, body, secrets) {
		w.Header().Set("WWW-Authenticate", challenge(p))
		return Answer{}, 0, fault.New(fault.Unauthorized, "webhook_signature_invalid", "the %s header of this event of %s is missing or does not fit the configured secret", p.credential, p.name).
			WithFix("enter the hub's webhook secret in the settings of the webhook at %s", p.name)
	}
	switch p.kind(r.Header) {
	case ping:
		return Answer{}, http.StatusOK, nil
	case other:
		return Answer{Ignored: notPush}, http.StatusAccepted, nil
	}
	text, status, err := payloadOf(r.Header.Get("Content-Type"), body)
	if err != nil {
		return Answer{}, status, err
	}
	payload := asObject(text)
	if payload == nil {
		return Answer{}, 0, errPayload(p, "the payload is not a JSON object")
	}
	event, err := p.read(p, payload)
	if err != nil {
		return Answer{}, 0, err
	}
	if event.Ignored != "" {
		return Answer{Ignored: event.Ignored}, http.StatusAccepted, nil
	}
	known := match(event, h.opts.Known())
	for _, repoURL := range known {
		h.pace.look(context.WithoutCancel(r.Context()), repoURL)
	}
	level := slog.LevelDebug // strangers may push what nobody watches
	if len(known) > 0 {
		level = slog.LevelInfo
	}
	h.opts.Log.Log(r.Context(), level, "push event", "provider", p.name, "poked", len(known), "refs", short(event.Refs), "files", len(event.Changed), "from", sender(r))
	return Answer{Poked: len(known)}, http.StatusAccepted, nil
}

// proven tries all secrets, also after one that fits: the time tells nothing.
func proven(p *provider, header http.Header, body []byte, secrets [][]byte) bool {
	ok := false
	for _, secret := range secrets {
		ok = len(secret) > 0 && p.proven(header, body, secret) || ok
	}
	return ok
}

func challenge(p *provider) string {
	if p.credential == "Authorization" {
		return `Basic realm="hawser webhooks"`
	}
	return p.credential
}

// short is what the log has of refs, which strangers choose.
func short(refs []string) []string {
	const most, longest = 5, 100
	out := make([]string, 0, min(len(refs), most))
	for _, ref := range refs[:min(len(refs), most)] {
		out = append(out, ref[:min(len(ref), longest)])
	}
	return out
}

func (h *handler) refuse(w http.ResponseWriter, status int, err error) {
	e := fault.As(err)
	if status == 0 {
		status = e.Kind.HTTPStatus()
	}
	h.write(w, status, "application/problem+json", problem{
		Type: "urn:hawser:problem:" + e.Code, Title: http.StatusText(status), Status: status, Kind: e.Kind, Code: e.Code,
		Detail: e.Message, Fix: e.Fix, RequestID: w.Header().Get("X-Request-Id"), // hub/api sets it
	})
}

// problem is a document of RFC 9457 with the members of the hub's API.
type problem struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Kind      fault.Kind `json:"kind"`
	Code      string     `json:"code"`
	Detail    string     `json:"detail"`
	Fix       string     `json:"fix,omitempty"`
	RequestID string     `json:"requestId,omitempty"`
}

func (h *handler) write(w http.ResponseWriter, status int, contentType string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		h.opts.Log.Error("an answer cannot be encoded", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		h.opts.Log.Debug("the sender of an event left", "error", err)
	}
}

// payloadOf takes the JSON out of a body. A form that is JSON, as a careless
// curl -d sends it, is taken as JSON.
func payloadOf(contentType string, body []byte) (payload []byte, status int, err error) {
	mediaType, _, parseErr := mime.ParseMediaType(contentType)
	switch {
	case parseErr != nil: // or there is none
	case mediaType == "application/json":
		return body, 0, nil
	case mediaType == "application/x-www-form-urlencoded":
		if trimmed := strings.TrimLeft(string(body), " \t\r\n"); strings.HasPrefix(trimmed, "{") {
			return body, 0, nil
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, 0, fault.New(fault.Invalid, "payload_invalid", "the form cannot be read")
		}
		if text := values.Get("payload"); text != "" {
			return []byte(text), 0, nil
		}
		return nil, 0, fault.New(fault.Invalid, "payload_invalid", "the form has no field \"payload\"")
	}
	return nil, http.StatusUnsupportedMediaType, fault.New(fault.Invalid, "unsupported_media_type", "send application/json or application/x-www-form-urlencoded")
}
