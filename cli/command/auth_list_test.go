package command

import "testing"

func TestWhatOneMayDo(t *testing.T) {
	answers := everything()
	answers["GET /whoami"] = answer{200, `{"name":"ana","admin":false,"grants":[{"project":"shop","role":"viewer"},{"project":"pay-*","role":"operator"}]}`}
	newHubOf(t, answers)
	run(t, "", "auth", "can-i", "--list").check(t, 0, "shop     viewer    get,logs,events\npay-*    operator  get,logs,events,sync,rollback,refresh,terminate,action,exec\n", "")
	run(t, "", "auth", "can-i", "--list", "-o", "json").check(t, 0, `"kind": "RightList"`, "")
	run(t, "", "auth", "can-i", "--list", "get").check(t, 2, "", "takes no arguments")
	run(t, "", "auth", "can-i").check(t, 2, "", "takes 2 arguments")
	run(t, "", "auth", "whoami").check(t, 0, "ana\n", "")
	answers["GET /whoami"] = answer{200, `{"name":"root","admin":true}`}
	run(t, "", "auth", "can-i", "--list").check(t, 0, "*        administrator  *\n", "root is an administrator")
	answers["GET /whoami"] = answer{200, `{"name":"new"}`}
	run(t, "", "auth", "can-i", "--list").check(t, 0, "PROJECT", "no role in any project")
}
