package kubecall

import (
	"net/http"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// maxValue bounds one value of a header, maxValues how many one header has.
const (
	maxValue  = 8 << 10
	maxValues = 16
)

// asked are the headers of a request that go to the cluster, and whether more than
// one value of each does. All others are left behind, whatever they are.
var asked = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Content-Type": false, "If-Match": false, "If-None-Match": false, "If-Modified-Since": false, "User-Agent": false,
}

// askedToUpgrade are those that a request for another protocol has on top.
// Connection and Upgrade themselves are written anew.
var askedToUpgrade = map[string]bool{
	"Sec-Websocket-Key": false, "Sec-Websocket-Version": false, "Sec-Websocket-Protocol": true, "X-Stream-Protocol-Version": true,
}

// answered are the headers of an answer that go to the caller.
var answered = map[string]bool{
	"Content-Type": false, "Content-Length": false, "Content-Encoding": false, "Etag": false, "Last-Modified": false, "Retry-After": false, "Audit-Id": false,
	"Warning": true, "Vary": true,
}

var answeredToUpgrade = map[string]bool{
	"Sec-Websocket-Accept": false, "Sec-Websocket-Protocol": false, "X-Stream-Protocol-Version": false,
}

// Protocols that a connection may become.
const (
	WebSocket = "websocket"
	SPDY      = "SPDY/3.1"
)

// subprotocols of WebSockets. With others a token could be brought along:
// base64url.bearer.authorization.k8s.io is one that is a credential.
var subprotocols = map[string]bool{
	"v5.channel.k8s.io": true, "v4.channel.k8s.io": true, "v3.channel.k8s.io": true, "v2.channel.k8s.io": true, "channel.k8s.io": true,
	"SPDY/3.1+portforward.k8s.io": true,
}

// UpgradeOf says which protocol a request asks for, "" for none. It is an error to
// ask for one in a way that two readers may understand differently. Code:
// upgrade_refused (Invalid).
func UpgradeOf(proto int, method string, h http.Header, i Info) (string, error) {
	wants := false
	for _, value := range h.Values("Connection") {
		for word := range strings.SplitSeq(value, ",") {
			wants = wants || strings.EqualFold(strings.TrimSpace(word), "upgrade")
		}
	}
	named := h.Values("Upgrade")
	switch {
	case !wants && len(named) == 0:
		return "", nil
	case !wants || len(named) != 1:
		return "", refusedUpgrade("the request says in one of Connection and Upgrade that it wants another protocol, and not in the other")
	case proto != 1:
		return "", refusedUpgrade("HTTP/%d has no upgrades", proto)
	}
	protocol := ""
	for _, p := range []string{WebSocket, SPDY} {
		if strings.EqualFold(named[0], p) {
			protocol = p
		}
	}
	switch {
	case protocol == "":
		return "", refusedUpgrade("%.40q is no protocol that goes to a cluster", named[0])
	case !i.Opens() || i.Subresource == "ephemeralcontainers":
		return "", refusedUpgrade("only exec, attach and port-forward become another protocol")
	case protocol == WebSocket && method != http.MethodGet, protocol == SPDY && method != http.MethodPost && method != http.MethodGet:
		return "", refusedUpgrade("%s does not begin with %s", protocol, method)
	}
	return protocol, nil
}

func refusedUpgrade(format string, args ...any) error {
	return fault.New(fault.Invalid, "upgrade_refused", format, args...)
}

// RequestHeaders are the headers of a request that go to the cluster. It is an
// error when one that may be there once is there twice, or has a value that is no
// plain text: which of them counts would be the reader's choice. Code:
// header_refused (Invalid).
func RequestHeaders(h http.Header, upgrade bool) ([]model.KubeHeader, error) {
	return pick(h, asked, askedToUpgrade, upgrade)
}

// AnswerHeaders is RequestHeaders for an answer of the API server; upgraded: it is
// the one after which the connection has another protocol.
//
// Location and cookies are not among them, nor what says which pages may do what.
func AnswerHeaders(h http.Header, upgraded bool) ([]model.KubeHeader, error) {
	return pick(h, answered, answeredToUpgrade, upgraded)
}

// Header makes an http.Header of headers that passed.
func Header(list []model.KubeHeader) http.Header {
	h := make(http.Header, len(list)+4)
	for _, x := range list {
		key := http.CanonicalHeaderKey(x.Name)
		h[key] = append(h[key], x.Values...)
	}
	return h
}

func pick(h http.Header, allowed, onUpgrade map[string]bool, upgrade bool) ([]model.KubeHeader, error) {
	out := make([]model.KubeHeader, 0, 8)
	for name, values := range h {
		many, ok := allowed[name]
		if !ok && upgrade {
			many, ok = onUpgrade[name]
		}
		if !ok || len(values) == 0 {
			continue
		}
		if !many && len(values) > 1 || len(values) > maxValues {
			return nil, refusedHeader("the header %s is there %d times", name, len(values))
		}
		for _, v := range values {
			if len(v) > maxValue {
				return nil, refusedHeader("the header %s has %d bytes; at most %d are taken", name, len(v), maxValue)
			}
			for j := range len(v) {
				if v[j] < ' ' || v[j] >= 0x7f {
					return nil, refusedHeader("the header %s has the byte %q", name, v[j])
				}
			}
		}
		if name == "Sec-Websocket-Protocol" {
			for _, v := range values {
				for p := range strings.SplitSeq(v, ",") {
					if !subprotocols[strings.TrimSpace(p)] {
						return nil, refusedHeader("a subprotocol of the WebSocket is none of those that go to a cluster")
					}
				}
			}
		}
		out = append(out, model.KubeHeader{Name: name, Values: values})
	}
	return out, nil
}

func refusedHeader(format string, args ...any) error {
	return fault.New(fault.Invalid, "header_refused", format, args...)
}
