module estate

go 1.26.0
