package desk

type conflictIndex struct{}
