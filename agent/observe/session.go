package observe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
)

const (
	// A watch asks to be ended after a random time in this range, so that
	// reconnections spread out.
	watchMin, watchMax = 8 * time.Minute, 12 * time.Minute
	// listSilence: a list through a watch that brings nothing for so long is
	// given up in favour of a plain one.
	listSilence = 20 * time.Second
	// listWhole: and so is one that is not complete after so long, whatever it
	// brings. A server that knows nothing of such lists sends changes for ever, and
	// never their end.
	listWhole = time.Minute
	// bookmarkSilence: servers that send bookmarks do so about once a minute; a
	// watch without any sign for so long is dead, whatever TCP thinks.
	bookmarkSilence = 3 * time.Minute
	// pageSize of plain lists.
	pageSize = 500
)

// silences are listSilence, listWhole, bookmarkSilence and livePeriod; tests
// shorten them.
type silences struct{ list, whole, bookmark, live time.Duration }

var (
	errNoStream  = errors.New("the server cannot list through a watch")
	errNoExclude = errors.New("the server cannot leave out namespaces")
	errSilent    = errors.New("the watch went silent")
)

// session lists, when there is no resource version to go on from, and watches
// until the watch ends. nil is an ordinary end.
func (r *reflector) session(ctx context.Context, kind live.Kind) error {
	full := r.full.Load()
	path := resourcePath(kind)
	if again := r.again.Swap(false); r.setPath(path) || again || full != r.listed {
		r.at.version = "" // another version of the API, or other content
	}
	r.listed = full
	if len(r.o.opts.Namespaces) > 0 {
		return r.inNamespaces(ctx, kind, full)
	}
	if r.at.version == "" && r.noStream {
		r.o.store.beginList(r.gk)
		if err := r.list(ctx, path, &r.at, kind, full); err != nil {
			return err
		}
		r.emit(r.o.store.endList(r.gk, r.at.version)...)
		r.live()
	}
	return r.watch(ctx, path, &r.at, kind, full, r.live)
}

// live says that from now on absence is known.
func (r *reflector) live() {
	r.failures = 0
	if r.liveSince.IsZero() {
		r.liveSince = r.o.now()
	}
	r.noteDefinitions()
	if r.unreachable.Swap(false) {
		r.o.wakeUnreachable()
	}
	if r.o.store.setLive(r.gk, r.listed) {
		r.o.kindChanged(r.gk)
	}
}

// noteDefinitions asks for discovery again when the kind is one that changes
// what is served.
func (r *reflector) noteDefinitions() {
	if r.gk == kindCRD || r.gk == kindAPIService {
		r.o.disc.refreshSoon()
	}
}

func resourcePath(k live.Kind) string {
	if k.Group == "" {
		return "/api/" + k.Version + "/" + k.Resource
	}
	return "/apis/" + k.Group + "/" + k.Version + "/" + k.Resource
}

func apiVersion(k live.Kind) string { return apiVersionOf(k.Group, k.Version) }

// query returns what list and watch have in common.
func (r *reflector) query(kind live.Kind) url.Values {
	q := url.Values{}
	if kind.Namespaced && len(r.o.opts.Namespaces) == 0 && len(r.o.opts.ExcludeNamespaces) > 0 && !r.noExclude {
		var parts []string
		for _, ns := range r.o.opts.ExcludeNamespaces {
			parts = append(parts, "metadata.namespace!="+ns)
		}
		q.Set("fieldSelector", strings.Join(parts, ","))
	}
	return q
}

// refusal recognises the answers of servers that cannot do what we prefer.
func (r *reflector) refusal(err error, streaming bool, q url.Values) error {
	var se *statusError
	if !errors.As(err, &se) || se.code != http.StatusBadRequest && se.code != http.StatusUnprocessableEntity {
		return err
	}
	if q.Has("fieldSelector") && strings.Contains(se.message, "field") && !strings.Contains(se.message, "sendInitialEvents") {
		return errNoExclude
	}
	if streaming {
		return errNoStream
	}
	return err
}

// watch opens a watch from a place, or one that lists first when it has no version.
// live is called when absence is known.
func (r *reflector) watch(ctx context.Context, path string, at *place, kind live.Kind, full bool, live func()) error {
	listing := at.version == ""
	lasts := watchMin + rand.N(watchMax-watchMin)
	q := r.query(kind)
	q.Set("watch", "1")
	q.Set("allowWatchBookmarks", "true")
	q.Set("timeoutSeconds", strconv.Itoa(int(lasts.Seconds())))
	if listing {
		q.Set("sendInitialEvents", "true")
		q.Set("resourceVersionMatch", "NotOlderThan")
		r.o.store.beginList(r.gk)
	} else {
		q.Set("resourceVersion", at.version)
	}
	accept := acceptFull
	if !full {
		accept = acceptMetadata
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := r.o.silence.list
	if !listing {
		first = requestTimeout // until the answer's header
	}
	watchdog := time.AfterFunc(first, func() { cancel(errSilent) })
	defer watchdog.Stop()
	whole := time.AfterFunc(r.o.silence.whole, func() { cancel(errSilent) })
	defer whole.Stop()
	if !listing {
		whole.Stop()
	}
	body, _, err := r.o.open(ctx, path, q, accept)
	if err != nil {
		if context.Cause(ctx) == errSilent && listing {
			return errNoStream
		}
		return r.refusal(err, listing, q)
	}
	defer body.Close()
	silence := lasts + time.Minute
	if at.bookmarks {
		silence = r.o.silence.bookmark
	}
	if !listing {
		live()
	} else {
		silence = r.o.silence.list
	}
	watchdog.Reset(silence)

	stream := frames{r: body}
	for {
		frame, err := stream.next()
		if err != nil {
			if context.Cause(ctx) == errSilent {
				if listing {
					return errNoStream
				}
				return nil // go on from there
			}
			if listing && cleanEnd(err) == nil {
				return errNoStream // it ended before its list was complete
			}
			return cleanEnd(err)
		}
		bookmark, listed, err := r.take(at, kind, frame, full, listing)
		if err != nil {
			return err
		}
		if bookmark && !listing || listed {
			at.bookmarks, silence = true, r.o.silence.bookmark
		}
		if listed {
			listing = false
			whole.Stop()
			live()
		}
		watchdog.Reset(silence)
	}
}

// take handles one event of a watch. listed is true for the bookmark that ends
// the list of a watch that lists first.
func (r *reflector) take(at *place, kind live.Kind, frame []byte, full, listing bool) (bookmark, listed bool, err error) {
	var typ string
	var object []byte
	if err := members(frame, func(k, v []byte) error {
		switch string(k) {
		case "type":
			typ = text(v)
		case "object":
			object = v
		}
		return nil
	}); err != nil {
		return false, false, err
	}
	if !listing && (typ == "ADDED" || typ == "MODIFIED" || typ == "DELETED") {
		r.noteDefinitions()
	}
	switch typ {
	case "ADDED", "MODIFIED":
		rec, err := r.o.accept(r.gk, apiVersion(kind), object, full, func(rec live.Record) (live.Event, bool) {
			return r.o.store.put(rec, full, listing)
		})
		if err != nil {
			return false, false, err
		}
		if !listing {
			at.version = rec.ResourceVersion
		}
	case "DELETED":
		rec, err := r.o.trim.last(r.gk, apiVersion(kind), object, full)
		if err != nil {
			return false, false, err
		}
		if ev, ok := r.o.store.remove(rec); ok {
			r.emit(ev)
		}
		if !listing {
			at.version = rec.ResourceVersion
		}
	case "BOOKMARK":
		version, initial := bookmarkOf(object)
		if listing && initial {
			r.emit(r.o.store.endList(r.gk, version)...)
			listed = true
		}
		if version != "" && (listed || !listing) {
			at.version = version
			r.o.store.reach(r.gk, at.namespace, version)
		}
		return true, listed, nil
	case "ERROR":
		return false, false, parseStatus(http.StatusInternalServerError, object)
	}
	return false, false, nil
}

// bookmarkOf reads a bookmark; initial is true for the one that ends a list.
func bookmarkOf(object []byte) (version string, initial bool) {
	_ = members(object, func(k, v []byte) error {
		if string(k) != "metadata" {
			return nil
		}
		return members(v, func(k, v []byte) error {
			switch string(k) {
			case "resourceVersion":
				version = text(v)
			case "annotations":
				return members(v, func(k, v []byte) error {
					if string(k) == "k8s.io/initial-events-end" {
						initial = text(v) == "true"
					}
					return nil
				})
			}
			return nil
		})
	})
	return version, initial
}

// list reads a place in pages: of servers that cannot list through a watch, and
// single namespaces. It is between beginList and endList of the store.
func (r *reflector) list(ctx context.Context, path string, at *place, kind live.Kind, full bool) error {
	accept := acceptFull
	if !full {
		accept = acceptMetaList
	}
	token, version := "", ""
	for {
		q := r.query(kind)
		q.Set("limit", strconv.Itoa(pageSize))
		if token != "" {
			q.Set("continue", token)
		}
		body, _, err := r.o.get(ctx, path, q, accept)
		if err != nil {
			return r.refusal(err, false, q)
		}
		token = ""
		if err := members(body, func(k, v []byte) error {
			switch string(k) {
			case "metadata":
				return members(v, func(k, v []byte) error {
					switch string(k) {
					case "resourceVersion":
						version = text(v)
					case "continue":
						token = text(v)
					}
					return nil
				})
			case "items":
				return elements(v, func(item []byte) error {
					_, err := r.o.accept(r.gk, apiVersion(kind), item, full, func(rec live.Record) (live.Event, bool) {
						return r.o.store.put(rec, full, true)
					})
					return err
				})
			}
			return nil
		}); err != nil {
			return err
		}
		if token == "" {
			break
		}
	}
	if version == "" {
		return errors.New("the list has no resource version")
	}
	at.version = version
	return nil
}
