#!/usr/bin/env node
import { hello } from './hello.js';

console.log(hello());
