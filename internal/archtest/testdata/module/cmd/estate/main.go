// Command estate is a fixture that breaks a rule.
package main

import _ "estate/cloud"

func main() {}
