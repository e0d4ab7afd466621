package client

import (
	"bufio"
	"context"
)

// Lines sends in as JSON and hands each line of the answer to f as it comes,
// until the answer ends or f fails.
func (c *Client) Lines(ctx context.Context, method, path string, in any, f func(line []byte) error) error {
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := c.send(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), 8<<20)
	if resp.StatusCode/100 != 2 {
		var body []byte
		for lines.Scan() { // what there is of it is enough
			body = append(body, lines.Bytes()...)
		}
		return answered(resp, body)
	}
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := f(lines.Bytes()); err != nil {
			return err
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
