package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"github.com/hawser-dev/hawser/shared/fault"
)

// MaxBody is the largest payload in bytes.
const MaxBody = 1 << 20

// Requests a second, and how many may come at once. A push event costs little;
// this bounds what a stranger can make the hub do.
const (
	requestRate  = 100
	requestBurst = 200
)

// Options of a Handler.
type Options struct {
	// Secret that payloads are signed with; without one signatures are not
	// checked.
	Secret []byte
	// Known are the repositories under watch.
	Known func() []string
	// Poke asks for a look at one of them. It does not block.
	Poke func(repoURL string)
	Log  *slog.Logger
}

// Answer is the body of a 202.
type Answer struct {
	// Poked are the repositories that are looked at now.
	Poked []string `json:"poked"`
	// Ignored says why nothing was done with an event.
	Ignored string `json:"ignored,omitempty"`
}

// Handler serves POST of push events: 202 with what was poked, also when that
// is nothing; 200 for a ping; problem documents otherwise.
func Handler(opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &handler{opts: opts, limit: rate.NewLimiter(requestRate, requestBurst)}
}

type handler struct {
	opts  Options
	limit *rate.Limiter
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, status, err := h.serve(w, r)
	if err != nil {
		h.refuse(w, status, err)
		return
	}
	h.write(w, status, "application/json", answer)
}

// serve does one request. A status with an error replaces that of the error's
// kind.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) (Answer, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Answer{}, http.StatusMethodNotAllowed, fault.New(fault.Invalid, "method_not_allowed", "send events with POST")
	}
	if !h.limit.Allow() {
		w.Header().Set("Retry-After", "1")
		return Answer{}, 0, fault.New(fault.RateLimited, "rate_limited", "more than %d events a second", requestRate)
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return Answer{}, http.StatusUnsupportedMediaType, fault.New(fault.Invalid, "unsupported_media_type", "send the payload without Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return Answer{}, 0, fault.New(fault.TooLarge, "body_too_large", "the payload is larger than 1 MiB")
		}
		return Answer{}, 0, fault.Wrap(err, fault.Invalid, "body_unreadable", "the payload ended too early")
	}
	// Before anything in the payload is looked at.
	if len(h.opts.Secret) > 0 && !signed(h.opts.Secret, body, r.Header.Get("X-Hub-Signature-256")) {
		return Answer{}, 0, fault.New(fault.Unauthorized, "webhook_signature_invalid", "the X-Hub-Signature-256 header is missing or does not fit the configured secret")
	}
	switch event := r.Header.Get("X-GitHub-Event"); event {
	case "", "push":
	case "ping":
		return Answer{Poked: []string{}}, http.StatusOK, nil
	default:
		return Answer{Poked: []string{}, Ignored: "only push events are of interest"}, http.StatusAccepted, nil
	}
	payload, status, err := payloadOf(r.Header.Get("Content-Type"), body)
	if err != nil {
		return Answer{}, status, err
	}
	urls, err := repositories(payload)
	if err != nil {
		return Answer{}, 0, err
	}
	answer := Answer{Poked: []string{}}
	for _, known := range match(urls, h.opts.Known()) {
		h.opts.Poke(known)
		answer.Poked = append(answer.Poked, known)
	}
	h.opts.Log.Info("push event", "poked", len(answer.Poked))
	return answer, http.StatusAccepted, nil
}

// signed checks GitHub's signature in constant time.
func signed(secret, body []byte, header string) bool {
	digits, ok := strings.CutPrefix(header, "sha256=")
	if !ok {
		return false
	}
	got, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

func (h *handler) refuse(w http.ResponseWriter, status int, err error) {
	e := fault.As(err)
	if status == 0 {
		status = e.Kind.HTTPStatus()
	}
	h.write(w, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": e.Code, "detail": e.Message,
	})
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
	if contentType != "" && parseErr != nil {
		mediaType = "unknown"
	}
	switch {
	case mediaType == "" || mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		return body, 0, nil
	case mediaType == "application/x-www-form-urlencoded":
		if trimmed := strings.TrimLeft(string(body), " \t\r\n"); strings.HasPrefix(trimmed, "{") {
			return body, 0, nil
		}
		text, err := formValue(string(body), "payload")
		if err != nil {
			return nil, 0, err
		}
		return []byte(text), 0, nil
	}
	return nil, http.StatusUnsupportedMediaType, fault.New(fault.Invalid, "unsupported_media_type", "send application/json or application/x-www-form-urlencoded")
}
