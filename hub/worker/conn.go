package worker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"
)

// MaxFrame is the largest message in bytes.
const MaxFrame = 128 << 20

// Conn sends and receives messages: four bytes of length, big-endian, and the
// message. It is for one goroutine.
type Conn struct {
	r        *bufio.Reader
	w        io.Writer
	buf      []byte
	failed   error
	finished bool
	// maxFrame is the largest message that is received.
	maxFrame int
}

// NewConn makes a Conn of a reader and a writer.
func NewConn(r io.Reader, w io.Writer) *Conn {
	return &Conn{r: bufio.NewReaderSize(r, 64<<10), w: w, maxFrame: MaxFrame}
}

// Send writes one message.
func (c *Conn) Send(m proto.Message) error {
	size := proto.Size(m)
	if size > MaxFrame {
		return c.fail(fmt.Errorf("message of %d bytes; the limit is %d", size, MaxFrame))
	}
	buf := binary.BigEndian.AppendUint32(c.buf[:0], uint32(size))
	buf, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(buf, m)
	if err != nil {
		return c.fail(err)
	}
	if cap(buf) <= 1<<20 {
		c.buf = buf
	}
	if _, err := c.w.Write(buf); err != nil {
		return c.fail(err)
	}
	return nil
}

// Receive reads one message. It returns io.EOF when the other end closed
// between two messages.
func (c *Conn) Receive(m proto.Message) error {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return c.fail(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if int64(size) > int64(c.maxFrame) {
		return c.fail(fmt.Errorf("message of %d bytes; the limit is %d", size, c.maxFrame))
	}
	data, err := c.read(int(size))
	if err != nil {
		return c.fail(err)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return c.fail(err)
	}
	return nil
}

// read reads size bytes. Memory grows with what has come: a size is only a
// claim.
func (c *Conn) read(size int) ([]byte, error) {
	const first = 1 << 20
	data := make([]byte, 0, min(size, first))
	for len(data) < size {
		if len(data) == cap(data) {
			data = slices.Grow(data, min(size-len(data), len(data)))
		}
		end := min(cap(data), size)
		n, err := io.ReadFull(c.r, data[len(data):end])
		data = data[:len(data)+n]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return data, nil
}

// Finished tells the pool that the conversation of a job is complete, so that
// the process may have another. A job that returns without it costs the process
// its life.
func (c *Conn) Finished() { c.finished = true }

func (c *Conn) fail(err error) error {
	if c.failed == nil {
		c.failed = err
	}
	return err
}

// Serve is the loop of a worker process: handle is called for one job after the
// other and receives its first message itself. It returns when in ends (nil)
// or handle fails.
func Serve(in io.Reader, out io.Writer, handle func(*Conn) error) error {
	conn := NewConn(in, out)
	for {
		if err := handle(conn); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
