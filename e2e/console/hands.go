package console

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// Hands are what steps in a browser have done outside of it, by name. An argument and
// an answer are JSON; an error fails the step.
type Hands map[string]func(ctx context.Context, arg json.RawMessage) (any, error)

// serve offers them on loopback until close is called, and returns where.
func (h Hands) serve() (url string, close func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	for name, do := range h {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			var arg json.RawMessage
			answer, err := any(nil), json.NewDecoder(r.Body).Decode(&arg)
			if err == nil {
				answer, err = do(r.Context(), arg)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // a step that is gone hears of nothing
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(ln) }() // ends with Close
	return "http://" + ln.Addr().String(), func() { _ = server.Close() }, nil
}
