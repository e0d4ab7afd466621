package api

import "testing"

// The list says who issued a token: also one that was issued with a token of his.
func TestTokensSayWhoIssuedThem(t *testing.T) {
	w, _ := newPolicyWorld(t, "g, ann-1, role:admin\n")
	ann := w.session("ann-1", "dev")
	var first, second issuedToken
	w.call("POST", "/api/v1/tokens", `{"name":"ci","admin":true}`, ann).ok(201).into(&first)
	w.call("POST", "/api/v1/tokens", `{"name":"more","admin":true}`, "Authorization: Bearer "+first.Token).ok(201).into(&second)
	w.call("POST", "/api/v1/tokens", `{"name":"nobodys","admin":true}`, "Authorization: Bearer "+w.as(true)).ok(201)
	var all struct{ Items []apiToken }
	w.call("GET", "/api/v1/tokens", "", ann).ok(200).into(&all)
	want := tokenIssuer{Provider: "corp", Subject: "ann-1", Name: "A name"}
	found := 0
	for _, tok := range all.Items {
		switch tok.Name {
		case "ci", "more":
			if tok.Issuer == nil || *tok.Issuer != want {
				t.Errorf("%s was issued by %+v", tok.Name, tok.Issuer)
			}
			found++
		case "nobodys":
			if tok.Issuer != nil {
				t.Errorf("%s was issued by %+v", tok.Name, tok.Issuer)
			}
			found++
		}
	}
	if found != 3 || first.Issuer == nil || *first.Issuer != want {
		t.Errorf("%d tokens; %+v", found, first.Issuer)
	}
}
