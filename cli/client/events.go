package client

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
)

// Event is one server-sent event.
type Event struct {
	ID   string
	Type string
	Data []byte
}

// Events opens the hub's event stream and calls f for each event until ctx ends,
// the stream breaks, or f returns false. lastID resumes after an event; an
// event of type "reset" says that some were missed.
func (c *Client) Events(ctx context.Context, lastID string, f func(Event) bool) error {
	req, err := c.request(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := c.send(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what there is of it is enough
		return answered(resp, body)
	}
	var ev Event
	var data bool // the event has a data line already
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), 8<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if len(ev.Data) > 0 || ev.Type != "" {
				if !f(ev) {
					return nil
				}
			}
			ev, data = Event{}, false
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			ev.ID = value
		case "event":
			ev.Type = value
		case "data":
			if data {
				ev.Data = append(ev.Data, '\n')
			}
			ev.Data, data = append(ev.Data, value...), true
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return c.unreachable(ctx, err)
	}
	return nil
}
