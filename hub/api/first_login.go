package api

import (
	_ "embed"

	"github.com/gin-gonic/gin"
)

// This file serves the page of the link that the hub prints at its first start. It
// holds no data: the code is in the fragment of the link, which browsers send to
// nobody, so that it is in no log and no Referer; its script sends it to
// POST /api/v1/login, as hawser login does.

// FirstLoginPath is the path of the page, before "#" and the code.
const FirstLoginPath = "/first-login"

var (
	//go:embed first_login.html
	firstLoginPage []byte
	//go:embed first_login.css
	firstLoginStyle []byte
	//go:embed first_login.js
	firstLoginScript []byte
)

// firstLoginPolicy allows the page its own script and style sheet, and to speak to
// the hub. A form is sent by the script only: without it the password would be in an
// address.
const firstLoginPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func (a *api) firstLogin(e *gin.Engine) {
	a.page(e, FirstLoginPath, "text/html; charset=utf-8", firstLoginPolicy, plain(firstLoginPage))
	a.page(e, FirstLoginPath+".css", "text/css; charset=utf-8", firstLoginPolicy, plain(firstLoginStyle))
	a.page(e, FirstLoginPath+".js", "text/javascript; charset=utf-8", firstLoginPolicy, plain(firstLoginScript))
}
