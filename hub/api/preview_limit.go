package api

import (
	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
)

// previewsAtOnce bounds what one API token has rendered at a time that is not
// deployed: a viewer may ask for it, and it takes the time of the workers that all
// applications are rendered by.
const previewsAtOnce = 4

// previewing counts previews that are under way, by the token. The zero value is
// ready; it is safe for concurrent use.
type previewing struct{ allotment }

// begin admits one more preview of a token; done must be called when it has ended.
// Code preview_limit (RateLimited).
func (p *previewing) begin(c *gin.Context) (done func(), err error) {
	done, ok := p.take(identity(c).ID, previewsAtOnce)
	if !ok {
		return nil, fault.New(fault.RateLimited, "preview_limit", "%d previews of your API token are being rendered; that is the limit", previewsAtOnce).
			WithFix("wait until one has ended")
	}
	return done, nil
}
