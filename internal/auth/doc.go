// Package auth says who is calling: it checks passwords, signs and verifies tokens, rotates
// refresh tokens, proves nodes and redeems enrolment codes. Edge and cloud use it alike and
// give it their stores through the ports declared here.
//
// It must never store anything itself, never decide what a person may do (roles are read
// from memberships at each request), and never log or print a secret.
package auth
