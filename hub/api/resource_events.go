package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/model"
)

// resourceEvents answers the cluster's events about the selected objects of an
// application, those of all when none are selected: as a list with the newest
// first or, with follow=true, as lines with the oldest first and then what
// comes.
func (a *api) resourceEvents(c *gin.Context) {
	p := parametersIn(c)
	q := model.EventQuery{ObjectSelector: p.selector(), Follow: p.flag("follow", false)}
	if n, ok := p.number("limit", 1, model.MaxEvents); ok {
		q.Limit = int(n)
	}
	if err := p.done(); err != nil {
		a.fail(c, err)
		return
	}
	r := model.AccessRequest{Events: &q}
	if !q.Follow {
		r.Timeout = objectTimeout
	}
	l, err := a.look(c, r)
	if err != nil {
		a.fail(c, err)
		return
	}
	defer l.close()
	if q.Follow {
		s := newLineStream(c, l, false)
		s.end(s.pieces(func(m piece) error {
			for _, e := range m.Events {
				if err := s.document(struct {
					Event model.ObjectEvent `json:"event"`
				}{e}); err != nil {
					return err
				}
			}
			return nil
		}))
		return
	}
	items := []model.ObjectEvent{}
	for {
		m, err := l.receive()
		if err != nil {
			a.fail(c, err)
			return
		}
		if m.End != nil {
			break
		}
		if items = append(items, m.Events...); len(items) > model.MaxEvents {
			items = items[:model.MaxEvents]
			break
		}
	}
	c.JSON(http.StatusOK, newList(a, items))
}

// piece is a piece of an answer, or why there are no more.
type piece struct {
	model.AccessAnswer
	err error
}
