// Command estate-edge is a fixture.
package main

import _ "estate/edge"

func main() {}
