class ChangeState:
    class Request: ...

    class Response:
        success: bool
